"""`orbitconv report`."""

from dataclasses import dataclass
from pathlib import Path

import tyro
from rich.table import Table

from orbitconv.cli.terminal import Terminal, new_table
from orbitconv.records.grouping import mean_and_spread
from orbitconv.report import RunReport, write_run_report
from orbitconv.report.outcome import Outcome


@dataclass(frozen=True, kw_only=True)
class ReportCommand(RunReport):
    """Write one HTML page about any set of runs: tables, learning curves, errors at every angle, filters, mistakes.

    Runs that differ in the seed only are taken together; those that are not finished are listed, and not tested.
    """

    runs: tyro.conf.Positional[tuple[Path, ...]]
    """Folders of runs (the --out of orbitconv train), or folders that contain runs, such as that of a study."""

    def run(self) -> None:
        """Test, write, show."""
        terminal = Terminal()
        with terminal.progress() as progress:
            outcomes = write_run_report(self, progress)
        for outcome in outcomes:
            terminal.show(_table(outcome))
        terminal.say(f"Report: {self.out}")


def _table(outcome: Outcome) -> Table:
    """Every kind of network with its errors."""
    columns = ("network", "runs", "test images", "at random angles")
    table = new_table(f"{outcome.data}: test error in %", columns, {"network"})
    for kind, tested in zip(outcome.kinds, outcome.tested, strict=True):
        runs = (
            f"{len(kind.finished)} of {len(kind.runs)}" if len(kind.finished) < len(kind.runs) else str(len(kind.runs))
        )
        table.add_row(kind.name, runs, *(mean_and_spread(some, 2) for some in (tested.errors, tested.random_errors)))
    return table
