import hashlib
import logging
import threading
import time

import pytest

from orbitconv._support.progress import silent
from orbitconv.data.errors import RouteError
from orbitconv.data.published import download
from orbitconv.data.published.download import fetch_file
from raising import refuses

CONTENT = bytes(range(256)) * 2000
SHA256 = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def fetch(tmp_path):
    """Return a function that downloads `file` from these mirrors and returns its bytes and the mirror."""

    def run(*mirrors, progress=silent, sha256=SHA256):
        path, mirror = fetch_file(mirrors, "file", tmp_path / "staging", sha256, progress)
        return path.read_bytes(), mirror

    return run


@pytest.fixture
def part(tmp_path):
    (tmp_path / "staging").mkdir()
    return tmp_path / "staging/file.part"


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_file_arrives_whole_and_nothing_else_stays(fetch, server, tmp_path):
    server.files["file"] = CONTENT
    assert fetch(server.url) == (CONTENT, server.url)
    assert names(tmp_path / "staging") == ["file"]


def test_next_mirror_is_tried_when_one_is_dead(fetch, server, dead_mirror):
    server.files["file"] = CONTENT
    assert fetch(dead_mirror, server.url) == (CONTENT, server.url)


def test_connection_that_breaks_off_is_carried_on_where_it_stopped(fetch, server):
    server.files["file"], server.cuts["file"] = CONTENT, [100_000, 200_000]
    assert fetch(server.url)[0] == CONTENT
    assert server.asked == [("/file", None), ("/file", "bytes=100000-"), ("/file", "bytes=300000-")]


@pytest.mark.parametrize(("given", "ranges", "asked"), [
    (CONTENT[:1234], True, ["bytes=1234-"]),  # of an earlier call: carried on
    (CONTENT, True, ["bytes=512000-"]),  # complete: not downloaded again
    (CONTENT + b"x", True, None),  # longer than the file: thrown away, as those of another file
    (b"x" * 1234, True, ["bytes=1234-", None]),
    (b"x" * 1234, False, None),  # the server starts over
], ids=["of an earlier call", "complete", "too long", "of another file", "without ranges"])  # fmt: skip
def test_a_part_that_is_there_is_used_or_thrown_away(fetch, server, part, given, ranges, asked):
    server.files["file"], server.ranges = CONTENT, ranges
    part.write_bytes(given)
    assert fetch(server.url)[0] == CONTENT
    assert asked is None or [wanted for _, wanted in server.asked] == asked


def test_server_that_keeps_breaking_off_leaves_a_part_for_the_next_call(fetch, server, tmp_path):
    server.files["file"], server.cuts["file"] = CONTENT, [1000, 0]
    refuses(RouteError, r"broke off after 1000 of 512000 bytes", fetch, server.url)
    assert names(tmp_path / "staging") == ["file.part"]
    assert fetch(server.url)[0] == CONTENT


def test_wrong_contents_are_refused_and_removed(fetch, server, tmp_path):
    server.files["file"] = CONTENT[:-1] + b"x"
    refuses(RouteError, rf"expected SHA-256 {SHA256}, got other contents", fetch, server.url)
    assert names(tmp_path / "staging") == []


def test_every_mirror_is_listed_when_all_fail(fetch, server, dead_mirror, tmp_path):
    with pytest.raises(RouteError) as caught:
        fetch(dead_mirror, server.url)
    assert f"{dead_mirror}file: the connection was refused" in str(caught.value)
    assert f"{server.url}file: HTTP status 404" in str(caught.value)
    assert names(tmp_path / "staging") == []


def test_name_that_cannot_be_resolved_is_said_in_words(fetch):
    refuses(RouteError, r"the host name cannot be resolved|no answer within", fetch, "http://mirror.invalid/")


def test_mirrors_share_the_time_for_a_first_answer(fetch, server, monkeypatch):
    monkeypatch.setattr(download, "FIRST_ANSWER", 0.4)
    server.hang = threading.Event()
    start = time.monotonic()
    with pytest.raises(RouteError, match=r"no answer within 0\.2 s.*no answer within 0\.2 s|no answer in time"):
        fetch(server.url, server.url + "second/")
    assert time.monotonic() - start < 2


@pytest.mark.parametrize("lengths", [True, False])
def test_a_mirror_that_sends_too_much_is_left_and_its_bytes_with_it(fetch, server, monkeypatch, tmp_path, lengths):
    server.files["file"], server.lengths = CONTENT, lengths
    monkeypatch.setattr(download, "LARGEST", len(CONTENT) - 1)
    refuses(RouteError, r"states 512000 bytes" if lengths else r"sent more than 511999 bytes", fetch, server.url)
    assert sum(path.stat().st_size for path in (tmp_path / "staging").iterdir()) == 0
    monkeypatch.setattr(download, "LARGEST", len(CONTENT))
    assert fetch(server.url)[0] == CONTENT


def test_progress_counts_up_to_the_size(fetch, server):
    calls = []
    server.files["file"], server.cuts["file"] = CONTENT, [100_000]
    fetch(server.url, progress=lambda *call: calls.append(call))
    assert {(what, total) for what, _, total in calls} == {("file", len(CONTENT))}
    done = [done for _, done, _ in calls]
    assert done == sorted(done)
    assert done[-1] == len(CONTENT)


def test_interrupt_keeps_what_came_so_far(fetch, server, tmp_path):
    server.files["file"] = CONTENT

    def interrupt(what, done, total):
        if done > 200_000:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fetch(server.url, progress=interrupt)
    assert names(tmp_path / "staging") == ["file.part"]
    kept = (tmp_path / "staging/file.part").read_bytes()
    assert len(kept) > 200_000
    assert CONTENT.startswith(kept)


def test_nothing_is_printed(fetch, server, capfd):
    server.files["file"] = CONTENT
    fetch(server.url)
    assert capfd.readouterr() == ("", "")
    assert logging.getLogger("pooch").level != logging.WARNING
