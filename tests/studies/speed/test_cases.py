"""The list of cases: names, filters, and what it must hold."""

import re
from itertools import product

import pytest

from orbitconv.bases import list_bases
from studies.speed.cases import _ALL, CASES, CROSSOVER, CURVES, DEFINITIONS, Case, Goal, select
from studies.speed.subjects import SUBJECTS


def test_a_name_holds_all_sizes_that_the_task_has():
    assert Case(task="training").name == "training-c8-k3-f16-s32-b16"
    assert Case(task="expansion", group="c16", kernel=5, reference="pass").name == "expansion-c16-k5-f16"
    assert Case(task="construction", layers=12).name == "construction-c8-k3-f16-l12"
    assert Case(task="import", reference="torch").name == "import"
    over = Case(task="training", fields=64, reference="orbitconv", subjects=("separable",))
    assert over.name == "training-c8-k3-f64-s32-b16-over-orbitconv"
    assert (over.channels, over.sizes["layers"], over.sizes["batch"]) == (512, None, 16)


def test_patterns_choose_cases_task_by_task():
    assert [case.name for case in select(["expansion*", "import"])][-1] == "import"
    assert {case.task for case in select(["*"])} == set(DEFINITIONS)
    tasks = [case.task for case in select(["*"])]
    assert tasks == sorted(tasks, key=list(dict.fromkeys(tasks)).index)
    assert {case.task for case in select(["*"], quick=True)} == set(DEFINITIONS)
    assert len(select(["*-b2", "*-b2"])) == len(select(["*-b2"]))


def test_a_pattern_that_fits_nothing_is_refused():
    with pytest.raises(ValueError, match=r"'trainig\*'.*Cases begin with expansion, .*--list"):
        select(["training*", "trainig*"])
    with pytest.raises(ValueError, match="Leave out --quick"):
        select(["training-c8-k3-f64*"], quick=True)


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_every_case_can_be_built(case):
    if case.task not in {"import", "construction"}:
        assert {case.reference, *case.subjects} <= SUBJECTS.keys()
    if case.task != "import":
        assert f"spectral-{case.group}-k{case.kernel}" in list_bases()
    for goal in case.goals:
        assert {goal.of, goal.to} <= {case.reference, *case.subjects, "escnn", "e2cnn", None}


def test_the_promises_are_goals():
    def most(pattern, to):
        found = {name: goal for name, case in CASES.items() if re.fullmatch(pattern, name) for goal in case.goals}
        assert found, pattern
        return {goal.most for case in CASES.values() if case.name in found for goal in case.goals if goal.to == to}

    assert most("expansion-(c8-k3-f64|c16-k5-f16)", "pass") == {4.0}
    assert most("expansion-(c8-k3-f64|c16-k5-f16)", "escnn") == {0.4}
    assert most("training-c8-k3-f(16|32)-s32-b16", "conv2d") == {1.05}
    assert most("training-c8-k3-f(16|32)-s(8|16)-b2", "conv2d") == {1.25}
    assert most("training-c8-k3-f(16|32)-s.*-b(2|16)", "e2cnn") == {1.0}
    assert most("training-(c4|d4|c16)-.*-s32-b16|forward-.*", "escnn") == {1.0}
    assert most("training-c8-k3-f64-s16-b16-over-dense", "dense") == {0.5}
    assert most("inference-.*", "conv2d") == {1.0}
    assert most("memory-c8-k3-f(16|32)-s32-b16", "conv2d") == {1.1}
    assert CASES["construction-c8-k3-f64-l12"].goals == (Goal(most=0.2),)


def test_dense_and_fourier_are_compared_over_a_grid_and_every_case_is_measured_once():
    sizes = [(case.fields, case.size, case.batch) for case in CROSSOVER]
    assert set(product((8, 16, 32, 64), (8, 16, 32), (2, 16))) - set(sizes) == {(64, 32, 16)}
    names = [case.name for case in _ALL]
    assert len(set(names)) == len(names)
    for case in CROSSOVER:
        assert CASES[case.name].subjects == ("orbitconv", "dense", "fourier")
    peers = {case.name for case in CASES.values() if case.peers}
    assert {case.name for curve in CURVES.values() for case in curve} <= peers
    assert sum(case.peers for case in CROSSOVER) == 8  # six with goals, two on a curve


@pytest.mark.parametrize("axis", CURVES)
def test_along_a_curve_one_size_grows(axis):
    varying = {"batch": "batch", "width": "fields", "order": "group", "size": "size"}[axis]
    points = [case.sizes for case in CURVES[axis]]
    assert len({point.pop(varying) for point in points}) == len(points) >= 4
    assert all(point == points[0] for point in points)
    assert all(case.name in CASES for case in CURVES[axis])
