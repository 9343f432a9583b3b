import io
import sys

import pytest

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
