"""The list of cases: names, filters, and what it must hold."""

import pytest

from orbitconv.bases import list_bases
from studies.speed.cases import CASES, DEFINITIONS, Case, select
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


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_every_case_can_be_built(case):
    if case.task not in {"import", "construction"}:
        assert {case.reference, *case.subjects} <= SUBJECTS.keys()
    if case.task != "import":
        assert f"spectral-{case.group}-k{case.kernel}" in list_bases()
    for goal in case.goals:
        assert {goal.of, goal.to} <= {case.reference, *case.subjects, "escnn", "e2cnn", None}
