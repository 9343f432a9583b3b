"""Terminal output of commands: progress and results."""

import io
import sys
import time
from collections.abc import Container, Iterable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

from orbitconv._support.progress import FIGURES, ProgressCallback

# Seconds between two lines of progress where there is no terminal to draw a bar on.
_PAUSE = 10.0


def new_table(title: str, columns: Iterable[str], left: Container[str] = ()) -> Table:
    """A table whose columns are flush right, but for some."""
    table = Table(title=title)
    for column in columns:
        table.add_column(column, justify="left" if column in left else "right")
    return table


class Terminal:
    """Standard output through rich: bars on a terminal, lines with the time left in a file.

    Brackets in a path are no markup; bytes of a name that are not valid UTF-8 are printed as escapes.
    """

    def __init__(self) -> None:
        if isinstance(sys.stdout, io.TextIOWrapper):
            sys.stdout.reconfigure(errors="backslashreplace")
        width = None if Console().is_terminal else 120
        self.console = Console(width=width, markup=False, emoji=False, highlight=False)

    @contextmanager
    def progress(self) -> Iterator[ProgressCallback]:
        """Show progress."""
        if not self.console.is_terminal:
            yield _Lines(self).update
            return
        columns = (
            TextColumn("{task.description:<22}", markup=False), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(),
            TextColumn("left"), TimeRemainingColumn(),
        )  # fmt: skip
        with Progress(*columns, console=self.console) as bars:
            tasks = {}

            def update(what: str, done: int, total: int) -> None:
                name = what.partition(FIGURES)[0]
                if name not in tasks:
                    tasks[name] = bars.add_task(what, total=None)
                bars.update(tasks[name], description=what, completed=done, total=total or None)

            yield update

    def say(self, words: str) -> None:
        """Print one line, however long."""
        self.console.print(words, soft_wrap=True)

    def show(self, table: Table) -> None:
        """Print a table, whose title and cells are plain text."""
        self.console.print(table)

    def show_facts(self, title: str, facts: dict[str, object]) -> None:
        """Print facts, one a line."""
        table = Table(title=title, show_header=False)
        for name, value in facts.items():
            if not isinstance(value, list | tuple):
                table.add_row(name.replace("_", " "), f"{value:.4g}" if isinstance(value, float) else str(value))
        self.show(table)


class _Lines:
    """Progress as lines: percent and time left every few seconds, and the total time at the end.

    Args:
        terminal: Where to print.
    """

    def __init__(self, terminal: Terminal) -> None:
        self._terminal = terminal
        self._begun: dict[str, float] = {}
        self._printed = time.monotonic()

    def update(self, what: str, done: int, total: int) -> None:
        """Print a line if enough time has passed.

        Args:
            what: What is being done.
            done: How much of it is done.
            total: The total; 0 when unknown.
        """
        name, now = what.partition(FIGURES)[0], time.monotonic()
        words = what.replace(FIGURES, ", ")
        begun = self._begun.get(name)
        if total and done >= total:
            self._print(f"{words}: done in {_clock(now - (begun or now))}")
            self._begun.pop(name, None)
        elif begun is None:
            self._begun[name] = now
            self._print(f"{words} ...")
        elif now - self._printed >= _PAUSE and total and done:
            left = (now - begun) * (total - done) / done
            self._print(f"{words}: {100 * done / total:.0f} %, {_clock(left)} left")

    def _print(self, words: str) -> None:
        self._terminal.say(words)
        self._printed = time.monotonic()


def _clock(seconds: float) -> str:
    """Minutes and seconds."""
    return f"{round(seconds) // 60}:{round(seconds) % 60:02d}"
