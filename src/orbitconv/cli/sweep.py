"""`orbitconv sweep`."""

from dataclasses import dataclass

from rich.table import Table

from orbitconv._support.files import check_writable
from orbitconv.cli.terminal import Terminal, new_table
from orbitconv.records.record import Record
from orbitconv.sweep import Sweep, parse_search, run_sweep
from orbitconv.sweep.store import JOURNAL

# Trials in the table.
_SHOWN = 10


@dataclass(frozen=True, kw_only=True)
class SweepCommand(Sweep):
    """Search for the settings of a training with the smallest error on images held out of the training set.

    Stop it at any moment: the same command resumes it. To share the work, start the same command several times, on one
    machine or on several that see the folder; choose the GPU of each with CUDA_VISIBLE_DEVICES.
    """

    def run(self) -> None:
        """Search, show, write."""
        terminal = Terminal()
        check_writable(self.results, "--results")
        try:
            with terminal.progress() as progress:
                outcome = run_sweep(self, progress)
        except KeyboardInterrupt:
            if (self.out / JOURNAL).exists():
                terminal.say(f"{self.out} keeps all trials that ended; the same command resumes it.")
            raise
        if self.results is not None:
            outcome.record.write(self.results)
        terminal.show(_table(outcome.record, [one.name for one in parse_search(self.search)]))
        terminal.say(f"Best settings: {outcome.path}; train with them: orbitconv train --config {outcome.path}")


def _table(record: Record, names: list[str]) -> Table:
    """The best trials."""
    cut = sum(row["ended"] != "trained" for row in record.rows)
    title = f"Best of {len(record.rows)} trials, {cut} of them cut short; validation error in %"
    table = new_table(title, ("trial", "error", "epochs", *names, "parameters", "seconds"))
    for row in [row for row in record.rows if row["ended"] == "trained"][:_SHOWN]:
        values = [_word(row[name]) for name in names]
        table.add_row(
            str(row["trial"]), f"{row['test_error_percent']:.2f}", str(row["epochs"]), *values,
            f"{row['parameters']:,}", f"{row['seconds']:.1f}",
        )  # fmt: skip
    return table


def _word(value: str | float | None) -> str:
    """A setting as text."""
    return f"{value:.4g}" if isinstance(value, float) else str(value).lower()
