"""The frame of every command that writes a folder: atomic, with a progress bar and a record."""

from collections.abc import Callable
from pathlib import Path
from typing import Protocol, runtime_checkable

from orbitconv._support.files import check_writable
from orbitconv._support.folders import check_free, whole_folder
from orbitconv._support.progress import ProgressCallback
from orbitconv.cli.terminal import Terminal
from orbitconv.figures.drawing import check_libraries
from orbitconv.records.record import Record


@runtime_checkable
class Settings(Protocol):
    """Output settings of a command."""

    @property
    def out(self) -> Path:
        """Folder of the result."""
        ...

    @property
    def overwrite(self) -> bool:
        """Whether an existing result may be replaced."""
        ...

    @property
    def results(self) -> Path | None:
        """JSON file that also receives the record."""
        ...


def fill_folder(settings: Settings, terminal: Terminal, work: Callable[[Path, ProgressCallback], Record]) -> Record:
    """Run a command; its folder appears when it is complete."""
    check_free(settings.out, overwrite=settings.overwrite)
    check_libraries()
    check_writable(settings.results, "--results")
    with whole_folder(settings.out, overwrite=settings.overwrite) as folder:
        with terminal.progress() as progress:
            record = work(folder, progress)
        if settings.results is not None:
            record.write(settings.results)
    return record
