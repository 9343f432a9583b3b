"""One case: its rows, its goals, and peers that fail."""

from dataclasses import replace

import pytest
import torch

from studies.base.timing import Pace
from studies.speed import measure as module
from studies.speed.cases import Case
from studies.speed.measure import measure
from studies.speed.subjects import SUBJECTS, Setting

SETTING = Setting(device=torch.device("cpu"), dtype=torch.float32, threads=1)
PACE = Pace(repeats=2, block_seconds=1e-4)
TINY = Case(task="training", group="c4", fields=1, size=3, batch=1)


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
