import itertools
import json
import multiprocessing
import time

import pytest

from orbitconv.records.lines import checked_line
from raising import refuses
from studies.base.journal import Journal

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
    whole = [line for line in journal.path.read_text().splitlines() if line.endswith("}") and "rows" in line]
    assert [json.loads(line)["part"] for line in whole[-1:]] == ["b"]
    assert Journal(tmp_path, SETTINGS).done == {"a": [{"x": 1}], "b": [{"x": 3}]}


def test_what_a_process_is_at_is_not_forgotten(tmp_path):
    def work():
        with pytest.raises(BlockingIOError, match="is in use by another process"):
            Journal(tmp_path / "run", {"seeds": 3}, overwrite=True)
        return [{"x": 1}]

    journal = Journal(tmp_path / "run", SETTINGS)
    assert journal.rows("a", work) == [{"x": 1}]
    (tmp_path / "run" / "networks").mkdir()
    (tmp_path / "run" / "networks" / "one").write_text("old")
    (tmp_path / "run" / "mine").mkdir()
    assert Journal(tmp_path / "run", {"seeds": 3}, overwrite=True, also=("networks", "none")).done == {}
    assert sorted(p.name for p in (tmp_path / "run").iterdir()) == [".locks", "journal.jsonl", "mine"]
    with pytest.raises(FileExistsError, match="other settings"):  # a part of the study before does not get in
        journal._add("b", [{"x": 2}], journal.source)
    assert Journal(tmp_path / "run", {"seeds": 3}).done == {}


def test_an_error_leaves_the_parts_before_it(tmp_path):
    journal = Journal(tmp_path, SETTINGS)
    journal.rows("a", lambda: [{"x": 1}])
    with pytest.raises(KeyboardInterrupt):
        journal.rows("b", lambda: (_ for _ in ()).throw(KeyboardInterrupt))
    assert Journal(tmp_path, SETTINGS).rows("a", list) == [{"x": 1}]


def test_other_settings_or_other_files_are_refused_until_they_may_be_replaced(tmp_path):
    Journal(tmp_path / "run", SETTINGS).rows("a", lambda: [{"x": 1}])
    refuses(FileExistsError, "other settings", Journal, tmp_path / "run", {**SETTINGS, "seeds": 3})
    assert Journal(tmp_path / "run", {**SETTINGS, "seeds": 3}, overwrite=True).rows("a", list) == []
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").write_text("all of it")
    refuses(FileExistsError, "something else", Journal, tmp_path / "mine", SETTINGS)
    refuses(NotADirectoryError, "is a file", Journal, tmp_path / "mine" / "thesis.tex", SETTINGS)
    assert (tmp_path / "mine" / "thesis.tex").read_text() == "all of it"


def _share(folder, parts):
    """What one of several processes does; each part leaves the time at which it began and ended."""

    def work(part):
        start = time.time()
        time.sleep(0.3)
        return [{"part": part, "start": start, "end": time.time()}]

    Journal(folder, SETTINGS).collect({part: lambda part=part: work(part) for part in parts})


def test_processes_share_the_parts_and_do_each_one_once(tmp_path, monkeypatch):
    monkeypatch.setattr("studies.base.journal._PATIENCE", 0.05)
    parts = [f"part {n}" for n in range(6)]
    context = multiprocessing.get_context("fork")
    workers = [context.Process(target=_share, args=(tmp_path, parts)) for _ in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(30)
    assert [worker.exitcode for worker in workers] == [0, 0]
    journal = Journal(tmp_path, SETTINGS)
    lines = [json.loads(line) for line in journal.path.read_text().splitlines()[1:]]
    assert sorted(line["part"] for line in lines) == parts
    times = sorted((row["start"], row["end"]) for rows in journal.done.values() for row in rows)
    assert any(later[0] < earlier[1] for earlier, later in itertools.pairwise(times))


def test_a_part_whose_worker_died_is_taken_over(tmp_path):
    journal = Journal(tmp_path, SETTINGS)
    (tmp_path / ".locks" / "a").write_text("")  # left behind by a process that was killed
    assert journal.rows("a", lambda: [{"x": 1}]) == [{"x": 1}]


def test_a_changed_digit_in_a_line_is_refused(tmp_path):
    journal = Journal(tmp_path, SETTINGS)
    journal.rows("a", lambda: [{"test_error_percent": 88.65}])
    content = journal.path.read_text()
    for before, after in (("88.65", "18.65"), ('"seeds": 2', '"seeds": 3'), ('"a"', '"b"')):
        journal.path.write_text(content.replace(before, after))
        refuses(ValueError, r"journal\.jsonl, line \d is damaged", Journal, tmp_path, SETTINGS)


def test_a_file_that_parts_were_made_with_must_not_change(tmp_path):
    (tmp_path / "bases").mkdir()
    journal = Journal(tmp_path, SETTINGS, overwrite=True)
    basis = tmp_path / "bases" / "one.safetensors"
    basis.write_bytes(b"one")
    for opened in (journal, journal, Journal(tmp_path, SETTINGS)):
        opened.pin(basis)
    assert journal.path.read_text().count("one.safetensors") == 1
    basis.write_bytes(b"two")
    with pytest.raises(ValueError, match="has changed since parts of the study were made with it"):
        Journal(tmp_path, SETTINGS).pin(basis)


@pytest.mark.parametrize("line", [{"part": "a"}, {"part": "a", "rows": 3}, {"input": "b", "rows": []}])
def test_a_line_that_is_no_part_is_refused(tmp_path, line):
    journal = Journal(tmp_path, SETTINGS)
    with journal.path.open("a") as file:
        file.write(checked_line(line))
    refuses(ValueError, "line 2 is no part of a study", Journal, tmp_path, SETTINGS)
