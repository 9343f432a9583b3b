"""`python -m studies bench`."""

import sys
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated

import tyro
from rich.table import Table

from orbitconv.cli.terminal import Terminal
from orbitconv.figures.drawing import check_libraries
from studies.base.peers import describe_skipped
from studies.speed.compare import check_comparable, compare, read_record
from studies.speed.machine import load
from studies.speed.report import check_place, write_report
from studies.speed.study import Bench, run_bench
from studies.speed.tables import Grid, changes_grid, grids

WORSE = 1
"""Exit code when a ratio got worse."""

# Processes that want to run beside the benchmark, above which its ratios are noisy.
_BUSY = 0.5


@dataclass(frozen=True, kw_only=True)
class BenchCommand(Bench):
    """Time layers beside nn.Conv2d of the same expanded shape, escnn and e2cnn; each is checked in float64 first.

    Writes a record, a page of tables and figures to runs/bench. Exits with 1 if --check finds a ratio that got worse.
    """

    check_file: Annotated[Path | None, tyro.conf.arg(name="check")] = None
    """Earlier record: fail if a ratio of this library grew by more than 10 %."""
    draw: Path | None = None
    """Measure nothing: write the page and the figures of this record anew."""
    list: bool = False
    """Measure nothing: list the cases."""

    def run(self) -> None:
        """Measure, write, show, compare."""
        terminal = Terminal()
        if self.list:
            for case in self.chosen():
                terminal.say(case.name)
        elif self.draw is not None:
            files = write_report(read_record(self.draw), self.draw)
            terminal.say(f"Written: {', '.join(map(str, files))}")
        else:
            self._measure(terminal)

    def _measure(self, terminal: Terminal) -> None:
        settings = Bench(**{f.name: getattr(self, f.name) for f in fields(Bench)}).resolved()
        cases, path = settings.chosen(), settings.place()
        earlier = None
        if self.check_file is not None:
            earlier = read_record(self.check_file)
            check_comparable(earlier, settings, cases)
        check_libraries()
        check_place(path, overwrite=self.overwrite)
        busy = load() or 0.0
        if busy > _BUSY:
            terminal.say(f"Note: the machine is busy (load {busy:g}); ratios will be noisy.")
        with terminal.progress() as progress:
            record = run_bench(settings, progress)
        data = record.as_dict()
        record.write(path)
        write_report(data, path)
        for grid in grids(data):
            terminal.show(_table(grid))
        if skipped := data["skipped"]:
            terminal.say(describe_skipped(skipped))
        terminal.say(
            f"Record: {path}   Page: {path.with_suffix('.md')}   Figures: {path.with_suffix('.png')} (and .svg)"
        )
        if earlier is not None:
            changes = compare(earlier["rows"], data["rows"])
            terminal.show(_table(changes_grid(changes, str(self.check_file))))
            worse = sum(change.is_worse for change in changes)
            terminal.say(f"{worse} of {len(changes)} ratios got worse.")
            if worse:
                sys.exit(WORSE)


def _table(grid: Grid) -> Table:
    """A table on the terminal."""
    table = Table(title=grid.title, title_justify="left")
    for i, name in enumerate(grid.header):
        table.add_column(name, justify="right" if i else "left")
    for row in grid.rows:
        table.add_row(*row)
    return table
