"""Files that grow by whole records."""

import sys

import pytest

from full_disk import files_no_longer_than
from orbitconv._support.appending import AppendedFile, whole_lines


def test_records_are_added_after_what_is_kept(tmp_path):
    path = tmp_path / "a" / "table"
    path.parent.mkdir()
    path.write_text("old\ncut")
    assert whole_lines(path) == ["old\n"]
    file = AppendedFile(path, "old\n")
    assert path.read_text() == "old\ncut"  # until there is something to write
    for text in ("b\n", "ü\n"):
        file.add(text)
    assert path.read_text(encoding="utf-8") == "old\nb\nü\n"
    assert whole_lines(tmp_path / "none") == []


@pytest.mark.skipif(sys.platform == "win32", reason="no resource limits")
def test_a_record_that_does_not_fit_on_the_disk_leaves_the_others_whole(tmp_path):
    file = AppendedFile(tmp_path / "a")
    file.add("12345\n")
    with files_no_longer_than(10), pytest.raises(OSError, match="large"):
        file.add("abcdefgh\n")
    assert (tmp_path / "a").read_text() == "12345\n"
    file.add("67\n")
    assert whole_lines(tmp_path / "a") == ["12345\n", "67\n"]
