"""Tables and figures say what the record says."""

import pytest

from studies.speed.cases import CROSSOVER, CURVES, DEFINITIONS
from studies.speed.compare import Change
from studies.speed.figures import ratios_figure, scaling_figure
from studies.speed.report import check_place, write_report
from studies.speed.tables import amount, changes_grid, grids, markdown


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


def test_the_crossover_marks_where_fourier_is_faster_beyond_noise(record):
    small, large = (case for case in CROSSOVER if case.fields == 16 and (case.size, case.batch) in {(8, 2), (16, 16)})
    record["rows"] += [
        row(large, "conv2d", 1.0), row(large, "dense", 1.0), row(large, "fourier", 0.7),  # 0.84 below 0.90
        row(small, "conv2d", 1.0), row(small, "dense", 1.0), row(small, "fourier", 0.8),  # 0.96 is not
    ]  # fmt: skip
    _, crossover, _ = grids(record)
    assert list(crossover.header) == ["layer", "8x8, batch 2", "16x16, batch 16"]
    assert [list(line) for line in crossover.rows] == [["C8 3x3, 16 fields", "1.00 / 0.800", "1.00 / 0.700 *"]]
    assert "A star marks" in crossover.note


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


def test_the_changes_name_what_got_worse():
    changes = [Change(case="a", subject="orbitconv", reference="pass", before=4.0, now=5.0),
               Change(case="b", subject="folded", reference="conv2d", before=1.0, now=1.02)]  # fmt: skip
    assert [list(r)[2:] for r in changes_grid(changes, "x.json").rows] == [
        ["4.00", "5.00", "+25.0 %", "worse"], ["1.00", "1.02", "+2.0 %", ""],
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("value", "unit", "words"),
    [(2.5, "seconds", "2.50 s"), (0.2504, "seconds", "250 ms"), (3e-6, "seconds", "3.00 us"),
     (1e-8, "seconds", "0.0100 us"), (3 * 2**20, "bytes", "3.00 MiB"), (2048, "bytes", "2.00 KiB"),
     (512, "bytes", "0.500 KiB")],
)  # fmt: skip
def test_amounts_have_a_unit_that_suits_them(value, unit, words):
    assert amount(value, unit) == words


def test_the_figure_of_ratios_leaves_curves_out_unless_they_have_goals(record):
    record["rows"] += [row(CROSSOVER[-1], *pair) for pair in (("conv2d", 1.0), ("dense", 1.0), ("fourier", 1.0))]
    (axes,) = ratios_figure(record).axes
    assert [label.get_text() for label in axes.get_yticklabels()] == ["C8 3x3, 8 fields, 16x16, batch 1"]
    assert [
        line.get_xdata()[0] for line in axes.lines if len(line.get_xdata()) == 2 and line.get_color() == "#1f2328"
    ] == [1.05]
    record["goals"], record["rows"] = [], [r for r in record["rows"] if r["case"] in record["curves"]["batch"]]
    (axes,) = ratios_figure(record).axes
    assert len(axes.get_yticklabels()) == 3  # all, rather than an empty picture


def test_a_curve_has_its_points_in_order(record):
    record["rows"].reverse()
    figure = scaling_figure(record)
    batch, order = figure.axes
    curve = max(batch.lines, key=lambda line: line.get_linewidth())
    assert (list(curve.get_xdata()), list(curve.get_ydata())) == ([1, 2, 4], [1.25] * 3)
    assert [label.get_text() for label in order.get_xticklabels()] == ["4", "6", "8", "12", "16"]
    assert scaling_figure({**record, "curves": {}}) is None


def test_page_and_figures_lie_beside_the_record(record, tmp_path):
    files = write_report(record, tmp_path / "m.json")
    assert sorted(file.name for file in files) == ["m-scaling.png", "m-scaling.svg", "m.md", "m.png", "m.svg"]
    assert sorted(tmp_path.iterdir()) == sorted(files)
    write_report({**record, "curves": {}}, tmp_path / "m.json")
    assert sorted(file.name for file in tmp_path.iterdir()) == ["m.md", "m.png", "m.svg"]  # none of the old curves


def test_a_file_beside_the_record_is_not_replaced_unasked(tmp_path):
    (tmp_path / "README.md").write_text("a page")
    (tmp_path / "m.tmp").write_text("something else")
    with pytest.raises(FileExistsError, match=r"README.md exists already.*--overwrite"):
        check_place(tmp_path / "README.json", overwrite=False)
    check_place(tmp_path / "m.json", overwrite=False)
    (tmp_path / "x.json").mkdir()
    with pytest.raises(ValueError, match="a folder"):
        check_place(tmp_path / "x.json", overwrite=True)
    assert {path.name for path in tmp_path.iterdir()} == {"README.md", "m.tmp", "x.json"}


def test_places_that_cannot_hold_a_record_are_refused_and_nothing_is_left(tmp_path):
    (tmp_path / "there.json").write_text("a result")
    for path, kind, words in (
        ("there.json", FileExistsError, "--overwrite"),
        ("folder", ValueError, "ending in .json"),
        ("there.json/x.json", OSError, "cannot be written"),
    ):
        with pytest.raises(kind, match=words):
            check_place(tmp_path / path, overwrite=False)
    check_place(tmp_path / "there.json", overwrite=True)
    check_place(tmp_path / "deep" / "down" / "x.json", overwrite=False)
    assert [path.name for path in tmp_path.iterdir()] == ["there.json"]
