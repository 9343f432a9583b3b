"""Draws that depend on the seed and the step, and on nothing else."""

import itertools

import torch

from orbitconv.data.batches import epoch_orders
from orbitconv.train.engine.randomness import augmentation_generator, seed_layers


def test_orders_are_permutations_and_those_after_a_resume_are_the_same():
    whole = list(itertools.islice(epoch_orders(10, 3), 5))
    assert all(sorted(order.tolist()) == list(range(10)) for order in whole)
    assert not torch.equal(whole[0], whole[1])
    rest = itertools.islice(epoch_orders(10, 3, 2), 3)
    assert all(torch.equal(a, b) for a, b in zip(whole[2:], rest, strict=True))


def test_every_seed_step_process_and_purpose_draws_its_own_numbers():
    drawn = [float(torch.rand(1, generator=augmentation_generator(*at))) for at in [(0, 0), (0, 1), (1, 0)]]
    for at in [(0, 0, 0), (0, 0, 1), (0, 1, 0), (1, 0, 0)]:
        seed_layers(*at)
        drawn.append(float(torch.rand(1)))
    assert len(set(drawn)) == 7
    seed_layers(1, 0, 0)
    assert float(torch.rand(1)) == drawn[-1]
    assert float(torch.rand(1, generator=augmentation_generator(0, 1))) == drawn[1]
