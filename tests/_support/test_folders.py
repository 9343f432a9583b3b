"""Results are whole or not there."""

import errno
import json
import os
import signal
import sys

import pytest

from orbitconv._support.files import write_atomically
from orbitconv._support.folders import check_free, to_json, whole_folder
from raising import refuses


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    target = tmp_path / "record.json"
    write_atomically(target, "old")

    def full(_descriptor):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    refuses(OSError, "No space left", write_atomically, target, "new")
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
    refuses(FileExistsError, "--overwrite", check_free, tmp_path, overwrite=False)
    refuses(NotADirectoryError, "--out", check_free, tmp_path / "a", overwrite=True)


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
    refuses(ValueError, "not JSON compliant", lambda: to_json({"rows": [{"a": float("nan")}]}))


def killed_before(name, call, work):
    """Do work in a child process that is killed before a call of `os`, for example the second rename."""
    child = os.fork()
    if not child:
        left = call

        def watch(event, _arguments):
            nonlocal left
            left -= event == name
            if event == name and left == 0:
                os.kill(os.getpid(), signal.SIGKILL)

        sys.addaudithook(watch)
        try:
            work()
        finally:
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL


def replaced(target):
    with whole_folder(target, overwrite=True) as work:
        (work / "a").write_text("new")


@pytest.mark.skipif(sys.platform == "win32", reason="needs fork")
@pytest.mark.parametrize(("renames", "found"), [(1, "old"), (2, "new")])
def test_a_folder_whose_replacement_was_killed_is_whole_at_the_next_start(tmp_path, renames, found):
    target = tmp_path / "run"
    with whole_folder(target) as work:
        (work / "a").write_text("old")
    killed_before("os.rename", renames, lambda: replaced(target))
    for path in tmp_path.glob(".*"):
        os.utime(path, (0, 0))
    check_free(target, overwrite=True)
    assert (target / "a").read_text() == found
    replaced(target)
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


@pytest.mark.skipif(sys.platform == "win32", reason="needs fork")
def test_what_a_killed_writer_left_is_removed_at_the_next_write_and_what_is_at_work_stays(tmp_path):
    target = tmp_path / "record.json"
    killed_before("os.rename", 1, lambda: write_atomically(target, "lost"))
    (left,) = tmp_path.iterdir()
    write_atomically(target, "new")
    assert left.exists()  # too young to tell
    os.utime(left, (0, 0))
    with whole_folder(tmp_path / "run") as work:
        os.utime(work, (0, 0))
        write_atomically(target, "newer")
        with whole_folder(tmp_path / "run") as other:
            assert work.exists()
            assert other != work
        (tmp_path / "run").rmdir()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["record.json", "run"]


@pytest.mark.skipif(sys.platform == "win32", reason="modes are POSIX")
@pytest.mark.parametrize("umask", [0o077, 0o022, 0o002])
def test_files_and_folders_get_the_modes_that_the_umask_allows(tmp_path, umask):
    before = os.umask(umask)
    try:
        write_atomically(tmp_path / "file", "x")
        with whole_folder(tmp_path / "run"):
            pass
    finally:
        os.umask(before)
    assert (tmp_path / "file").stat().st_mode & 0o777 == 0o666 & ~umask
    assert (tmp_path / "run").stat().st_mode & 0o777 == 0o777 & ~umask
