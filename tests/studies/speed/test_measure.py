"""One case: its rows, its goals, and peers that fail."""

from dataclasses import replace

import pytest
import torch

from studies.base.timing import Pace
from studies.speed import measure as module
from studies.speed.cases import Case, Goal
from studies.speed.cold import _run, cold_reading, seconds_to_build, widths
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


def test_expansion_is_compared_to_one_pass_and_to_a_copy():
    case = replace(TINY, task="expansion", reference="pass", subjects=("orbitconv", "copy"))
    rows = {row["subject"]: row for row in measure(case, SETTING, PACE).rows}
    assert list(rows) == ["pass", "orbitconv", "copy"]
    assert rows["copy"]["error"] == rows["pass"]["error"] == 0 < rows["orbitconv"]["error"]


def test_memory_holds_input_output_weight_and_gradients():
    case = replace(TINY, task="memory", size=64)
    plain = measure(case, SETTING, PACE).rows[0]["median"]
    planes, weight = 4 * case.channels * 64**2, 4 * 9 * case.channels**2
    assert plain >= 3 * planes + 2 * weight  # input, output, gradient of the input; weight and its gradient
    assert plain < 10 * (3 * planes + 2 * weight)  # oneDNN pads channels to sixteen


def test_another_layer_is_one_more_subject():
    case = replace(
        TINY, reference="orbitconv", subjects=("mine",), goals=(Goal(of="mine", to="orbitconv", most=100.0),)
    )
    measured = measure(
        case, SETTING, PACE, ["escnn"], builders={**SUBJECTS, "mine": SUBJECTS["conv2d"], "escnn": fails}
    )
    assert [row["subject"] for row in measured.rows] == ["orbitconv", "mine"]
    assert measured.goals[0]["verdict"] == "reached"


def test_a_peer_that_fails_to_build_is_skipped_with_its_reason():
    measured = measure(TINY, SETTING, PACE, ["escnn"], builders={**SUBJECTS, "escnn": fails})
    assert measured.skipped == {f"escnn, {TINY.name}": "no Fortran today"}
    assert [row["subject"] for row in measured.rows] == ["conv2d", "orbitconv"]


def test_a_peer_that_was_named_and_fails_ends_it():
    with pytest.raises(ValueError, match=f"escnn cannot run the case {TINY.name} in float32 on cpu: no Fortran today"):
        measure(TINY, SETTING, PACE, ["escnn"], required=["escnn"], builders={**SUBJECTS, "escnn": fails})


def test_a_layer_of_ours_that_cannot_run_ends_it_with_the_case_and_the_dtype():
    with pytest.raises(ValueError, match=f"orbitconv cannot run the case {TINY.name} in float32.* --cases"):
        measure(TINY, SETTING, PACE, builders={**SUBJECTS, "orbitconv": fails})


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


def test_new_processes_are_read_less_often(monkeypatch):
    monkeypatch.setattr(module, "cold_reading", lambda *_: lambda: 1.0)
    rows = measure(Case(task="import", reference="torch"), SETTING, Pace(repeats=21)).rows
    assert [row["repeats"] for row in rows] == [7, 7]


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


def test_widths_of_a_network_grow_by_thirds():
    assert widths(64, 12) == (16,) * 4 + (32,) * 4 + (64,) * 4
    assert widths(8, 1) == (8,)


@pytest.mark.parametrize("subject", ["conv2d", "orbitconv"])
@pytest.mark.parametrize("fields", [(2,), (1, 2, 4)])
def test_layers_and_networks_are_built(subject, fields):
    assert 0 < seconds_to_build(subject, "d4", 3, fields, 1) < 10


def test_a_new_process_is_read_by_what_it_prints_last_and_its_failure_has_its_own_words():
    assert _run("print('noise'); print(1.5)", 1) == 1.5
    with pytest.raises(ChildProcessError, match="No module named 'nowhere'"):
        _run("import nowhere", 1)


def test_importing_is_read_in_a_new_process():
    assert cold_reading(Case(task="import", reference="torch"), "orbitconv", 1)() > 0.01


@pytest.mark.parametrize("peer", ["escnn", "e2cnn"])
@pytest.mark.parametrize("task", ["expansion", "training", "inference", "memory"])
@pytest.mark.filterwarnings("ignore")
def test_real_peers_pass_the_check(peer, task):
    pytest.importorskip(peer, exc_type=ImportError)
    case = replace(TINY, task=task, group="c8", size=7, fields=2)
    measured = measure(case, SETTING, PACE, [peer], required=[peer])
    assert measured.rows[-1]["subject"] == peer
    assert 1e-9 < measured.rows[-1]["error"] < 4e-6
