"""Networks on bases of one kernel and dimension."""

from dataclasses import dataclass

from rich.table import Table

from orbitconv.cli.terminal import Terminal, mean_and_spread
from orbitconv.figures.drawing import write_figure
from orbitconv.records.record import Record
from studies.base.command import run_study
from studies.bases.trained_bases import TrainedBases, compare_trained_bases
from studies.bases.trained_figure import errors_by_kernel


@dataclass(frozen=True, kw_only=True)
class TrainedBasesCommand(TrainedBases):
    """Train networks on learned and on hand-made bases of one kernel and dimension; test them on turned digits.

    Takes about half an hour on two cores for three seeds; a study that was stopped goes on.
    """

    def run(self) -> None:
        """Train, measure, show."""
        terminal = Terminal()
        record = run_study(self.out, self.results, terminal, lambda progress: compare_trained_bases(self, progress))
        write_figure(errors_by_kernel(record.rows), self.out, record.study)
        terminal.console.print(_table(record))
        terminal.say(f"Record and figure: {self.out}")


def _table(record: Record) -> Table:
    """Errors by kernel and basis, mean and spread over seeds."""
    table = Table(title=f"Test error after training on {record.config['train_images']:,} upright digits, in %")
    for column in ("kernel", "basis", "atoms", "basis error", "parameters", "upright", "at random angles"):
        table.add_column(column, justify="left" if column == "basis" else "right")
    for kernel, family in dict.fromkeys((row["kernel"], row["family"]) for row in record.rows):
        own = [row for row in record.rows if (row["kernel"], row["family"]) == (kernel, family)]
        errors = {
            test: [float(row["test_error_percent"] or 0) for row in own if row["test"] == test]
            for test in ("upright", "rotated")
        }
        table.add_row(
            f"{kernel}x{kernel}", str(family), str(own[0]["num_atoms"]), f"{own[0]['basis_error_worst']:.3g}",
            f"{own[0]['parameters']:,}", mean_and_spread(errors["upright"]), mean_and_spread(errors["rotated"]),
        )  # fmt: skip
    return table
