"""Batches as functions of seed, epoch and step."""

import itertools
import pickle

import pytest
import torch

from orbitconv.data import folder
from orbitconv.data.batches import TestBatches, TrainBatches, epoch_orders
from raising import refuses


def test_an_epoch_has_every_image_at_most_once_and_the_next_one_another_order():
    batches = TrainBatches(23, 4, seed=3)
    first, second = list(batches), list(batches)
    assert len(first) == len(second) == 5
    numbers = [index for batch in first for index, _ in batch]
    assert len(set(numbers)) == 20
    assert numbers != [index for batch in second for index, _ in batch]


def test_orders_are_those_that_torch_draws_one_after_another():
    generator = torch.Generator().manual_seed(7)
    expected = [torch.randperm(9, generator=generator) for _ in range(3)]
    for epoch in range(3):
        torch.testing.assert_close(next(epoch_orders(9, 7, epoch)), expected[epoch])
        batches = TrainBatches(9, 3, seed=7, epoch=epoch)
        assert [i for batch in batches for i, _ in batch] == expected[epoch].tolist()


@pytest.mark.parametrize("step", [0, 2, 5])
def test_resumed_batches_are_those_that_were_left(step):
    whole = TrainBatches(23, 4, seed=3)
    epochs = [list(whole), list(whole)]
    resumed = TrainBatches(23, 4, seed=3)
    resumed.start(1, step)
    assert len(resumed) == 5 - step
    assert list(resumed) == epochs[1][step:]
    assert TrainBatches(23, 4, seed=3, epoch=1, first_step=step)._epoch == 1


@pytest.mark.parametrize("world_size", [2, 3])
def test_processes_share_the_batches_of_one(world_size):
    whole = list(TrainBatches(23, 4, seed=3))
    parts = [list(TrainBatches(23, 4, seed=3, rank=rank, world_size=world_size)) for rank in range(world_size)]
    assert [list(itertools.chain(*batch)) for batch in zip(*parts, strict=True)] == whole
    tests = [list(TestBatches(23, 4, rank=rank, world_size=world_size)) for rank in range(world_size)]
    assert [i for part in tests for batch in part for i in batch] == list(range(23))


def test_windows_differ_between_images_and_epochs():
    batches = TrainBatches(20, 4)
    seeds = [seed for _ in range(3) for batch in batches for _, seed in batch]
    assert len(set(seeds)) == 60


def test_data_sets_can_be_sent_to_workers_that_are_spawned(tmp_path):
    image_module = pytest.importorskip("PIL.Image")
    for name in "ab":
        (tmp_path / name).mkdir()
        image_module.new("L", (4, 4), ord(name)).save(tmp_path / name / "1.png")
    data = folder(tmp_path, val_share=0, test_share=0).train
    torch.testing.assert_close(pickle.loads(pickle.dumps(data))[1], data[1])


def test_too_few_images_and_steps_that_are_not_there_are_refused():
    refuses(ValueError, "got 3 images in batches of 4", TrainBatches, 3, 4)
    refuses(ValueError, "on 3 processes", TrainBatches, 30, 2, world_size=3)
    refuses(ValueError, "a step from 0 to 5, got 0 and 6", TrainBatches, 23, 4, first_step=6)
