"""Finding and reading runs."""

import pytest

from orbitconv.records.lines import checked_line, parse_line
from orbitconv.report.runs import find_runs
from raising import refuses
from small_runs import cut_off


def test_runs_are_found_at_any_depth_each_once_in_natural_order(tmp_path):
    for name in ("networks/a-10", "networks/a-9", "more/deep/b"):
        cut_off(tmp_path / "study" / name)
    cut_off(tmp_path / "study" / ".work" / "hidden")
    (tmp_path / "study" / "trained-bases" / "c8").mkdir(parents=True)
    (tmp_path / "study" / "trained-bases" / "c8" / "config.json").write_text('{"group": "C8", "config": {}}')
    found = find_runs([tmp_path / "study" / "networks" / "a-9", tmp_path / "study"])
    names = [run.folder.relative_to(tmp_path / "study").as_posix() for run in found]
    assert names == ["networks/a-9", "more/deep/b", "networks/a-10"]
    assert [run.finished for run in found] == [False] * 3


def test_a_run_that_has_just_begun_has_no_lines(tmp_path):
    cut_off(tmp_path / "run")
    (tmp_path / "run" / "metrics.jsonl").unlink()
    assert find_runs([tmp_path])[0].rows == []


def test_a_line_that_is_being_written_is_left_out(tmp_path):
    cut_off(tmp_path, epochs_done=2)
    lines = (tmp_path / "metrics.jsonl").read_text()
    (tmp_path / "metrics.jsonl").write_text(lines[:-10])
    rows = find_runs([tmp_path])[0].rows
    assert rows == [parse_line(lines.splitlines()[0], "line 1")]


@pytest.mark.parametrize("line", [
    "{\n",
    "[1]\n",
    "7\n",
    '{"epoch": 1, "loss": 1}\n',
    '{"epoch": 1, "loss": NaN}\n',
    "\n",
    checked_line({"epoch": 1}),
    checked_line({"loss": 1}),
    checked_line({"epoch": 1, "loss": "1"}),
])  # fmt: skip
def test_a_damaged_line_is_refused_with_its_place(tmp_path, line):
    cut_off(tmp_path)
    with (tmp_path / "metrics.jsonl").open("a") as file:
        file.write(line)
    refuses(ValueError, r"metrics\.jsonl, line 2 is damaged", find_runs, [tmp_path])


def test_a_finished_run_that_lacks_its_lines_is_refused(tmp_path):
    cut_off(tmp_path)
    (tmp_path / "model.safetensors").write_bytes(b"")
    lines = (tmp_path / "metrics.jsonl").read_text()
    (tmp_path / "metrics.jsonl").write_text(lines[:-10])
    refuses(ValueError, "line 1 is damaged", find_runs, [tmp_path])
    (tmp_path / "metrics.jsonl").unlink()
    refuses(ValueError, r"metrics\.jsonl is missing", find_runs, [tmp_path])


def test_folders_without_runs_are_refused(tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("mine")
    (tmp_path / "damaged").mkdir()
    (tmp_path / "damaged" / "config.json").write_text("{")
    (tmp_path / "unknown").mkdir()
    (tmp_path / "unknown" / "config.json").write_text('{"data": "mnist", "network": {"mdel": "x"}, "training": {}}')
    for name, error, words in (
        ("empty", ValueError, "holds no run of orbitconv train"),
        ("nowhere", FileNotFoundError, "is not there"),
        ("file", NotADirectoryError, "is a file"),
        ("damaged", ValueError, r"config\.json is damaged"),
        ("unknown", ValueError, r"network\.mdel is unknown"),
    ):
        refuses(error, words, find_runs, [tmp_path / name])
