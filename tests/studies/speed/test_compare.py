"""What counts as worse."""

import pytest

from studies.speed.compare import _COLUMNS, _PARTS, compare

TRAINING = "training-c8-k3-f16-s32-b16"


def row(case, subject, ratio, reference="conv2d", median=1.0):
    rest = dict.fromkeys(_COLUMNS)
    return {**rest, "case": case, "subject": subject, "reference": reference, "ratio": ratio, "median": median}


def record(**config):
    settings = {"device": "cpu", "dtype": "float32", "threads": 2} | config
    rest = dict.fromkeys(_PARTS)
    return {**rest, "study": "bench", "config": settings, "rows": [row(TRAINING, "orbitconv", 1.0)]}


@pytest.mark.parametrize(("now", "worse"), [(1.0, False), (1.0999, False), (1.1001, True), (0.5, False)])
def test_a_ratio_is_worse_if_it_grew_by_more_than_a_tenth(now, worse):
    (change,) = compare([row("a", "orbitconv", 1.0)], [row("a", "orbitconv", now, median=100.0)])
    assert (change.is_worse, change.factor) == (worse, pytest.approx(now))


def test_only_ratios_of_our_own_that_both_have_are_compared_the_worst_first():
    before = [row("a", "conv2d", 1.0), row("a", "orbitconv", 1.0), row("a", "escnn", 1.0), row("b", "folded", 1.0),
              row("c", "orbitconv", 1.0), row("d", "copy", 1.0, "pass"),
              row("e", "orbitconv", 1.0, "pass")]  # fmt: skip
    now = [{**r, "ratio": 2 * r["ratio"]} for r in before if r["case"] != "c"]
    now[3]["ratio"] = 3.0
    now += [row("new", "orbitconv", 9.0), row("e", "orbitconv", 9.0, "conv2d")]
    assert [(c.case, c.subject, c.now) for c in compare(before, now)] == [
        ("b", "folded", 3.0), ("a", "orbitconv", 2.0), ("e", "orbitconv", 2.0),
    ]  # fmt: skip
