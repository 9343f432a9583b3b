import io
import sys

import numpy as np
import pytest

import orbitconv
from orbitconv._support import progress
from orbitconv._support.progress import silent, terminal_progress


@pytest.fixture
def terminal(monkeypatch):
    """Return a function that makes standard error a terminal that keeps what it is shown.

    A function, as pytest puts its own standard error in place after the fixtures are set up.
    """

    class Terminal(io.StringIO):
        def isatty(self):
            return True

    def start():
        monkeypatch.setattr(sys, "stderr", Terminal())
        return sys.stderr

    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "100")
    for name in ("NO_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
        monkeypatch.delenv(name, raising=False)
    return start


def test_no_bar_without_a_terminal(monkeypatch):
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    with terminal_progress() as report:
        assert report is silent


def test_no_bar_for_what_is_quick(terminal):
    shown = terminal()
    with terminal_progress() as report:
        report("Download", 1, 2)
    assert report is not silent
    assert shown.getvalue() == ""


def test_bar_shows_what_takes_long(terminal, monkeypatch):
    shown = terminal()
    monkeypatch.setattr(progress, "PATIENCE", 0)
    with terminal_progress() as report:
        report("Download", 1, 2)
        report("Convert", 0, 0)
    for words in ("Download", "50%", "Convert"):
        assert words in shown.getvalue()


def test_no_bar_without_rich(terminal, monkeypatch):
    monkeypatch.setattr(progress.importlib.util, "find_spec", lambda _: None)
    terminal()
    with terminal_progress() as report:
        assert report is silent


@pytest.fixture
def pictures(tmp_path):
    image = pytest.importorskip("PIL.Image")
    for i in range(8):
        path = tmp_path / "pictures" / "ab"[i % 2] / f"{i}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        image.fromarray(np.full((8, 8), 20 * i, np.uint8)).save(path)
    return tmp_path / "pictures"


@pytest.mark.parametrize(("what", "work"), [
    ("check pictures", lambda _, pictures: orbitconv.data.folder(pictures)),
    ("evaluate", orbitconv.evaluate),
    ("predict", orbitconv.predict),
])  # fmt: skip
def test_what_may_take_long_in_python_shows_a_bar_on_a_terminal_only(terminal, monkeypatch, pictures, what, work):
    data = orbitconv.data.folder(pictures, progress=silent)
    plain = orbitconv.Builder("orbitconv.models:SmallCNN", {"basis": None, "width": 2, "num_classes": 2})
    network = orbitconv.fit(plain, data, epochs=1, batch_size=4, progress=silent)
    monkeypatch.setattr(progress, "PATIENCE", 0)
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    work(network, pictures)
    assert sys.stderr.getvalue() == ""
    shown = terminal()
    work(network, pictures)
    assert what in shown.getvalue()
    assert "100%" in shown.getvalue()
