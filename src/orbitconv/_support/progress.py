"""Progress of anything slow: a callback, or a bar on the terminal that appears after two seconds."""

import importlib.util
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext

ProgressCallback = Callable[[str, int, int], None]
"""Called with what is being done, how much of it is done, and the total (0 when unknown)."""

FIGURES = " | "
"""Comes between what is being done and figures that change meanwhile, such as the loss of a training."""

PATIENCE = 2.0
"""Seconds before a bar appears."""


def silent(what: str, done: int, total: int) -> None:
    """Show nothing."""


@contextmanager
def terminal_progress() -> Iterator[ProgressCallback]:
    """Show progress on the terminal, if standard error is one and rich is installed; gives a callback."""
    if not sys.stderr.isatty() or importlib.util.find_spec("rich") is None:
        yield silent
        return
    start = time.monotonic()
    tasks = {}
    bar = None
    with ExitStack() as stack:

        def update(what: str, done: int, total: int) -> None:
            nonlocal bar
            if bar is None:
                if time.monotonic() - start < PATIENCE:
                    return
                from rich.console import Console
                from rich.progress import Progress

                bar = stack.enter_context(Progress(console=Console(stderr=True), transient=True))
            name = what.partition(FIGURES)[0]
            if name not in tasks:
                tasks[name] = bar.add_task(what, total=None)
            bar.update(tasks[name], description=what, completed=done, total=total or None)

        yield update


def shown_progress(progress: ProgressCallback | None) -> AbstractContextManager[ProgressCallback]:
    """A context with the callback that the user gave, or for None with a bar on the terminal (`terminal_progress`)."""
    return terminal_progress() if progress is None else nullcontext(progress)
