"""Results are whole or not there."""

import errno
import json
import os

import pytest

from orbitconv._support.files import write_atomically
from orbitconv._support.folders import check_free, to_json, whole_folder


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    target = tmp_path / "record.json"
    write_atomically(target, "old")

    def full(_descriptor):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write_atomically(target, "new")
    assert target.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["record.json"]


def interrupt(target, problem, **options):
    with whole_folder(target, **options) as work:
        (work / "a").write_text("new")
        raise problem


@pytest.mark.parametrize("problem", [RuntimeError, KeyboardInterrupt])
def test_an_interrupted_folder_never_appears(tmp_path, problem):
    with pytest.raises(problem):
        interrupt(tmp_path / "run", problem)
    assert list(tmp_path.iterdir()) == []


def test_an_interrupted_overwrite_keeps_the_old_result(tmp_path):
    target = tmp_path / "run"
    with whole_folder(target) as work:
        (work / "a").write_text("old")
    with pytest.raises(RuntimeError):
        interrupt(target, RuntimeError, overwrite=True)
    assert (target / "a").read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["run"]


def test_overwriting_replaces_every_file_of_the_old_result(tmp_path):
    target = tmp_path / "run"
    for name in ("old", "new"):
        with whole_folder(target, overwrite=True) as work:
            (work / name).write_text(name)
    assert [p.name for p in target.iterdir()] == ["new"]
    assert [p.name for p in tmp_path.iterdir()] == ["run"]


def test_a_result_that_is_there_is_refused_without_overwrite(tmp_path):
    (tmp_path / "a").write_text("a")
    with pytest.raises(FileExistsError, match="--overwrite"):
        check_free(tmp_path, overwrite=False)
    with pytest.raises(NotADirectoryError, match="--out"):
        check_free(tmp_path / "a", overwrite=True)


def test_an_unwritable_place_is_refused_by_name(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OSError, match=r"file.* cannot be written .*--out"), whole_folder(tmp_path / "file" / "run"):
        pass


def test_json_holds_one_row_a_line_and_reads_back():
    value = {"study": "x", "config": {"a": [1, 2]}, "rows": [{"a": 1, "b": None}, {"a": 2, "b": "c"}]}
    text = to_json(value)
    assert json.loads(text) == value
    assert '    {"a": 1, "b": null},\n' in text


def test_json_refuses_nan():
    with pytest.raises(ValueError, match="not JSON compliant"):
        to_json({"rows": [{"a": float("nan")}]})
