"""One case: its rows, its goals, and peers that fail."""

from dataclasses import replace

import pytest
import torch

from studies.base.timing import Pace
from studies.speed import measure as module
from studies.speed.cases import Case, Goal
from studies.speed.cold import seconds_to_build
from studies.speed.measure import _judge, measure
from studies.speed.subjects import SUBJECTS, Setting

SETTING = Setting(device=torch.device("cpu"), dtype=torch.float32, threads=1)
PACE = Pace(repeats=2, block_seconds=1e-4)
TINY = Case(task="training", group="c4", fields=1, size=3, batch=1)


def fails(case, setting):
    raise RuntimeError("no Fortran today\nand a long story")


@pytest.mark.parametrize("task", ["training", "forward", "inference", "memory"])
def test_a_row_says_what_was_measured_and_how_sure_it_is(task):
    case = replace(TINY, task=task, subjects=("orbitconv", "folded") if task == "inference" else ("orbitconv",))
    rows = measure(case, SETTING, PACE).rows
    assert [row["subject"] for row in rows] == ["conv2d", *case.subjects]
    for row in rows:
        assert (row["case"], row["group"], row["channels"], row["repeats"]) == (case.name, "c4", 4, 2)
        assert row["unit"] == ("bytes" if task == "memory" else "seconds")
        assert 0 < row["low"] <= row["median"] <= row["high"]
        assert 0 < row["ratio_low"] <= row["ratio"] <= row["ratio_high"]
        assert row["error"] < 4e-6
    assert rows[0]["ratio"] == 1


def test_the_seed_alone_decides_weights_and_feature_maps_and_that_of_others_goes_on(monkeypatch):
    works = []
    keep = module.prepare
    monkeypatch.setattr(module, "prepare", lambda *words: works.append(keep(*words)) or works[-1])
    state = torch.get_rng_state()
    for seed in (0, 0, 1):
        measure(TINY, replace(SETTING, seed=seed), PACE)
        torch.rand(3)
    first, again, other = (works[i] for i in (1, 3, 5))
    assert torch.equal(first.planes, again.planes)
    assert torch.equal(first.subject.weights[0], again.subject.weights[0])
    assert not torch.equal(first.planes, other.planes)
    assert not torch.equal(first.subject.weights[0], other.subject.weights[0])
    torch.rand(9)
    torch.set_rng_state(state)
    measure(TINY, SETTING, PACE)
    assert torch.equal(torch.get_rng_state(), state)


def wrong(case, setting):
    subject = SUBJECTS["orbitconv"](case, setting)
    return replace(subject, run=lambda planes: 1.01 * subject.run(planes))


def test_a_wrong_peer_is_skipped_and_a_wrong_layer_of_ours_ends_it_before_it_is_timed(monkeypatch):
    measured = measure(TINY, SETTING, PACE, ["escnn"], builders={**SUBJECTS, "escnn": wrong})
    assert "differs from the float64 reference by 0.01" in measured.skipped[f"escnn, {TINY.name}"]
    steps = []
    monkeypatch.setattr(module, "timed", lambda step, *_: steps.append(step) or (lambda: 1.0, 1))
    with pytest.raises(ArithmeticError, match="orbitconv is wrong"):
        measure(TINY, SETTING, PACE, builders={**SUBJECTS, "orbitconv": wrong})
    assert len(steps) == 1  # nn.Conv2d


def test_a_goal_is_reached_within_noise_or_missed_by_paired_ratios():
    values = {"orbitconv": [2.0] * 9, "conv2d": [1.0] * 9, "escnn": [2.0, 1.9, 1.9, 1.9, 1.9, 2.2, 2.2, 1.9, 1.9]}
    goals = (Goal(to="conv2d", most=2.0), Goal(to="conv2d", most=1.9), Goal(to="escnn", most=1.0),
             Goal(to="e2cnn", most=1.0), Goal(most=3.0))  # fmt: skip
    rows = _judge(replace(TINY, goals=goals), values)
    assert [(row["to"], row["verdict"]) for row in rows] == [
        ("conv2d", "reached"), ("conv2d", "missed"), ("escnn", "within noise"), (None, "reached"),
    ]  # fmt: skip
    assert (rows[2]["found"], rows[2]["low"]) == (1.0526, 0.90909)


@pytest.mark.parametrize("subject", ["conv2d", "orbitconv"])
@pytest.mark.parametrize("fields", [(2,), (1, 2, 4)])
def test_layers_and_networks_are_built(subject, fields):
    assert 0 < seconds_to_build(subject, "d4", 3, fields, 1) < 10
