"""What counts as worse."""

import json

import pytest

from studies.speed.cases import CASES
from studies.speed.compare import _COLUMNS, _PARTS, check_comparable, compare, read_record
from studies.speed.study import Bench

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


@pytest.mark.parametrize(("name", "value"), [("device", "cuda"), ("dtype", "bfloat16"), ("threads", 8)])
def test_records_of_other_settings_are_refused(name, value):
    with pytest.raises(ValueError, match=rf"Add --{name} {value}"):
        check_comparable(record(**{name: value}), Bench(), [CASES[TRAINING]])


def test_a_record_without_any_of_the_cases_is_refused():
    check_comparable(record(), Bench(), [CASES[TRAINING]])
    with pytest.raises(ValueError, match="nothing to compare"):
        check_comparable(record(), Bench(), [CASES["import"]])


def test_files_that_are_no_record_are_refused(tmp_path):
    path = tmp_path / "x.json"
    with pytest.raises(FileNotFoundError, match=r"no record of a benchmark at .*x\.json"):
        read_record(path)
    path.write_text('{"study": ')
    with pytest.raises(ValueError, match="not JSON, or damaged"):
        read_record(path)
    for content in ([], {"study": "demo", "rows": []}):
        path.write_text(json.dumps(content))
        with pytest.raises(ValueError, match="not the record of a benchmark"):
            read_record(path)
    without = {name: value for name, value in record().items() if name != "machine"}
    for content, missing in (
        ({"study": "bench"}, "name, command, "),
        (without, "no machine. Measure it anew"),
        (record() | {"rows": None}, "whole rows"),
        (record() | {"rows": [{"case": "a"}]}, "whole rows"),
    ):
        path.write_text(json.dumps(content))
        with pytest.raises(ValueError, match=missing):
            read_record(path)
    path.write_text(json.dumps(record()))
    assert read_record(path) == record()
