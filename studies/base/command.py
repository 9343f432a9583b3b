"""Run a study from the command line: settings, record, figures, tables."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

from rich.table import Table

from orbitconv._support.files import check_writable
from orbitconv._support.folders import check_free, whole_folder
from orbitconv._support.progress import ProgressCallback
from orbitconv.cli.terminal import Terminal, new_table
from orbitconv.figures.drawing import check_libraries, write_figure
from orbitconv.records.record import Record

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Work = Callable[[Any, ProgressCallback], Record]
"""Does a study from its settings."""


class Shown(NamedTuple):
    """The output of a study: tables on the terminal, named figures beside the record, notes below the tables."""

    tables: Iterable[Table]
    figures: "Iterable[tuple[str, Figure]]" = ()
    notes: Iterable[str] = ()


def run_study(settings: Any, work: Work, show: Callable[[Any, Record], Shown], *, whole: bool = False) -> None:
    """Run a study. A `whole` study writes its folder in one step; all others resume from their folder."""
    terminal, out = Terminal(), settings.out
    if whole:
        check_free(out, overwrite=settings.overwrite)
    check_libraries()
    check_writable(settings.results, "--results")
    if whole:
        with whole_folder(out, overwrite=settings.overwrite) as folder:
            record, shown = _do(replace(settings, out=folder), work, show, terminal)
    else:
        record, shown = _do(settings, work, show, terminal)
    if settings.results is not None:
        record.write(settings.results)
    for table in shown.tables:
        terminal.show(table)
    for note in shown.notes:
        terminal.say(note)
    terminal.say(f"Record and all files: {out}")


def _do(settings: Any, work: Work, show: Callable[[Any, Record], Shown], terminal: Terminal) -> tuple[Record, Shown]:
    """Do the work with a progress bar, and write record and figures."""
    try:
        with terminal.progress() as progress:
            record = work(settings, progress)
    except KeyboardInterrupt:
        if getattr(settings, "resume", None) is False:
            terminal.say(f"{settings.out} keeps the training up to its last checkpoint; resume with --resume.")
        raise
    record.write(settings.out / f"{record.study}.json")
    shown = show(settings, record)
    for name, figure in shown.figures:
        write_figure(figure, settings.out, name)
    return record, shown


def page_table(title: str, header: Sequence[str], align: str, rows: Iterable[Iterable[str]]) -> Table:
    """A table of a page for the terminal, without its marks; `align` has one of l and r for each column."""
    left = [name for name, side in zip(header, align, strict=True) if side == "l"]
    return table(title, ([cell.replace("**", "") for cell in row] for row in rows), *header, left=left)


def table(title: str, rows: Iterable[Iterable[str]], *columns: str, left: Iterable[str] = ()) -> Table:
    """A table for the terminal; columns are right-aligned except those in `left`."""
    made = new_table(title, columns, set(left))
    for row in rows:
        made.add_row(*row)
    return made
