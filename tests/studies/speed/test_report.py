"""Tables and figures say what the record says."""

import pytest

from studies.speed.cases import CURVES, DEFINITIONS
from studies.speed.tables import grids, markdown


def row(case, subject, ratio, *, reference="conv2d", median=0.003):
    spread = {"low": median, "high": median, "ratio_low": ratio * 0.9, "ratio_high": ratio * 1.2}
    if subject == reference:
        spread |= {"ratio_low": 1.0, "ratio_high": 1.0}
    return {
        "case": case.name, "subject": subject, "reference": reference, "task": case.task, **case.sizes,
        "channels": case.channels, "unit": "seconds", "median": median, "ratio": ratio, **spread,
    }  # fmt: skip


@pytest.fixture
def record():
    cases = list(dict.fromkeys([*CURVES["batch"][:2], CURVES["size"][1], *CURVES["order"]]))
    rows = [row(case, *pair) for case in cases for pair in (("conv2d", 1.0), ("orbitconv", 1.25))]
    rows.append(row(cases[0], "escnn", 2.0))
    return {
        "study": "bench", "name": "test", "command": "python -m studies bench", "load_before": 0.1,
        "versions": {"torch": "2"}, "machine": {"processor": "P"}, "commit": "abc+changes",
        "config": {"device": "cpu", "dtype": "float32", "threads": 2, "seed": 7, "quick": True},
        "definitions": DEFINITIONS, "skipped": {"e2cnn": "not installed"},
        "curves": {"batch": [c.name for c in CURVES["batch"][:3]], "order": [c.name for c in CURVES["order"]]},
        "goals": [{"case": cases[0].name, "of": "orbitconv", "to": "conv2d", "most": 1.05, "found": 1.25,
                   "low": 1.1, "high": 1.3, "verdict": "missed"}],
        "rows": rows,
    }  # fmt: skip


def test_a_table_has_a_line_for_each_case_and_a_column_for_each_subject(record):
    training, goals = grids(record)
    assert training.title == "Training step, over nn.Conv2d"
    assert list(training.header) == ["case", "conv2d", "orbitconv", "escnn"]
    words = ["C8 3x3, 8 fields, 16x16, batch 1", "3.00 ms", "1.25 (1.12 to 1.50)", "2.00 (1.80 to 2.40)"]
    assert list(training.rows[0]) == words
    assert training.rows[1][-1] == "-"
    assert list(goals.rows[0])[1:] == ["orbitconv / conv2d at most 1.05", "1.25 (1.10 to 1.30)", "missed"]


def test_the_page_says_how_it_was_measured_what_was_skipped_and_that_it_was_quick(record):
    page = markdown(record)
    for words in (
        "A quick run",
        "P, 2 threads",
        "seed 7",
        "commit abc+changes",
        "torch 2",
        "without an optimiser",
        "- e2cnn: not installed",
        "| missed |",
    ):
        assert words in page
