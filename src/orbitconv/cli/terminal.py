"""What a person sees while a command works, and when it is done."""

import statistics
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

from orbitconv._support.progress import FIGURES, ProgressCallback


class Terminal:
    """The terminal, through rich: bars where it is one, one line per finished job where it is a file."""

    def __init__(self) -> None:
        console = Console()
        self.console = console if console.is_terminal else Console(width=120)

    @contextmanager
    def progress(self) -> Iterator[ProgressCallback]:
        """Show progress.

        Yields:
            Callback (what, done, total).
        """
        live = self.console.is_terminal
        columns = (
            TextColumn("{task.description:<22}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(),
            TextColumn("left"), TimeRemainingColumn(),
        )  # fmt: skip
        with Progress(*columns, console=self.console, disable=not live) as bars:
            tasks = {}

            def update(what: str, done: int, total: int) -> None:
                name = what.partition(FIGURES)[0]
                if name not in tasks:
                    tasks[name] = bars.add_task(what, total=None)
                    if not live:
                        self.console.print(f"{name} ...")
                bars.update(tasks[name], description=what, completed=done, total=total or None)

            yield update

    def say(self, words: str) -> None:
        """Print one line, however long.

        Args:
            words: The line.
        """
        self.console.print(words, soft_wrap=True)

    def show_facts(self, title: str, facts: dict[str, object]) -> None:
        """Print what is known about something, one fact a line.

        Args:
            title: What it is.
            facts: Names and values; long lists are left out.
        """
        table = Table(title=title, show_header=False)
        for name, value in facts.items():
            if not isinstance(value, list | tuple):
                table.add_row(name.replace("_", " "), f"{value:.4g}" if isinstance(value, float) else str(value))
        self.console.print(table)


def mean_and_spread(values: Sequence[Any], digits: int = 1) -> str:
    """Mean, and standard deviation where there are several values.

    Args:
        values: Numbers; a dash stands for none.
        digits: Digits after the point.

    Returns:
        Such as 9.2 ± 2.4.
    """
    if not values:
        return "-"
    mean = f"{statistics.fmean(values):.{digits}f}"
    return f"{mean} ± {statistics.stdev(values):.{digits}f}" if len(values) > 1 else mean
