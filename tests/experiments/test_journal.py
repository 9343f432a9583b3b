import json

import pytest

from orbitconv.experiments.journal import Journal

SETTINGS = {"seeds": 2, "kernel_sizes": (3, 5)}


def test_a_part_is_done_once_and_kept_for_the_next_run(tmp_path):
    calls = []

    def work():
        calls.append(1)
        return [{"error": 0.1 + 0.2}]

    first = Journal(tmp_path / "run", SETTINGS)
    assert first.rows("a", work) == first.rows("a", work) == [{"error": 0.1 + 0.2}]
    again = Journal(tmp_path / "run", SETTINGS)
    assert again.rows("a", work) == [{"error": 0.1 + 0.2}]
    assert len(calls) == 1
    assert again.source == first.source


def test_a_part_that_was_cut_off_is_done_again(tmp_path):
    journal = Journal(tmp_path, SETTINGS)
    journal.rows("a", lambda: [{"x": 1}])
    journal.rows("b", lambda: [{"x": 2}])
    content = journal.path.read_bytes()
    journal.path.write_bytes(content[:-5])  # as a crash in the middle of a write leaves it
    again = Journal(tmp_path, SETTINGS)
    assert again.rows("a", lambda: pytest.fail("done already")) == [{"x": 1}]
    assert again.rows("b", lambda: [{"x": 3}]) == [{"x": 3}]
    assert [json.loads(line).get("part") for line in journal.path.read_text().splitlines()] == [None, "a", "b"]


def test_an_error_leaves_the_parts_before_it(tmp_path):
    journal = Journal(tmp_path, SETTINGS)
    journal.rows("a", lambda: [{"x": 1}])
    with pytest.raises(KeyboardInterrupt):
        journal.rows("b", lambda: (_ for _ in ()).throw(KeyboardInterrupt))
    assert Journal(tmp_path, SETTINGS).rows("a", list) == [{"x": 1}]


def test_other_settings_or_other_files_are_refused_until_they_may_be_replaced(tmp_path):
    Journal(tmp_path / "run", SETTINGS).rows("a", lambda: [{"x": 1}])
    with pytest.raises(FileExistsError, match="other settings"):
        Journal(tmp_path / "run", {**SETTINGS, "seeds": 3})
    assert Journal(tmp_path / "run", {**SETTINGS, "seeds": 3}, overwrite=True).rows("a", list) == []
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").write_text("all of it")
    with pytest.raises(FileExistsError, match="something else"):
        Journal(tmp_path / "mine", SETTINGS)
    with pytest.raises(NotADirectoryError, match="is a file"):
        Journal(tmp_path / "mine" / "thesis.tex", SETTINGS)
    assert (tmp_path / "mine" / "thesis.tex").read_text() == "all of it"
