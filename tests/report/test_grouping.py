"""Runs that differ in the seed only belong together; names tell the rest apart."""

from dataclasses import replace
from pathlib import Path

import pytest

from orbitconv.report.grouping import kinds_by_data
from orbitconv.report.runs import Run
from orbitconv.train import Augmentation, Hardware, Network, TrainConfig, Training

BASE = TrainConfig()


def kinds(*configs):
    runs = [Run(folder=Path(str(n)), config=c, rows=[], finished=False) for n, c in enumerate(configs)]
    return kinds_by_data(runs)["mnist"]


def names(*configs):
    return [kind.name for kind in kinds(*configs)]


@pytest.mark.parametrize(
    "change", [{"seed": 1}, {"test_every": 3}, {"hardware": Hardware(device="cpu", compile=True)}], ids=str
)
def test_what_does_not_change_what_is_learned_sets_no_run_apart(change):
    (kind,) = kinds(BASE, replace(BASE, **change))
    assert (len(kind.runs), kind.name, kind.differing) == (2, "spectral-c8-k3", ())


@pytest.mark.parametrize(("change", "name"), [
    ({"hardware": Hardware(precision="bf16")}, "precision bf16"),
    ({"train_images": 100}, "train images 100"),
    ({"training": Training(epochs=7)}, "7 epochs"),
    ({"augmentation": Augmentation(flip=True)}, "flip yes"),
    ({"network": Network(basis="none")}, "plain"),
    ({"network": Network(model="p4cnn")}, "p4cnn"),
    ({"network": Network(options={"width": 3})}, "width 3"),
], ids=str)  # fmt: skip
def test_any_other_setting_does_and_names_it(change, name):
    first, second = kinds(BASE, replace(BASE, **change))
    assert second.name == name
    assert len(first.differing) == 1


def test_names_hold_no_more_than_it_takes():
    slow = Training(learning_rate=1e-3)
    plain = replace(BASE, network=Network(basis="none"))
    assert names(BASE, replace(plain, training=slow)) == ["spectral-c8-k3", "plain"]
    assert names(BASE, plain, replace(plain, training=slow)) == [
        "spectral-c8-k3, learning rate 0.005", "plain, learning rate 0.005", "plain, learning rate 0.001",
    ]  # fmt: skip


def test_bases_from_files_are_named_after_them_unless_two_have_one_name():
    one, two, other = (replace(BASE, network=Network(basis=f"{p}.safetensors")) for p in ("a/x", "b/x", "b/y"))
    assert names(one, other) == ["x", "y"]
    assert names(one, two) == ["a/x.safetensors", "b/x.safetensors"]


def test_data_sets_are_kept_apart():
    other = replace(BASE, data="cifar10", seed=1)
    runs = [Run(folder=Path(c.data), config=c, rows=[], finished=True) for c in (BASE, other)]
    assert {data: [k.name for k in own] for data, own in kinds_by_data(runs).items()} == {
        "mnist": ["spectral-c8-k3"], "cifar10": ["spectral-c8-k3"],
    }  # fmt: skip
