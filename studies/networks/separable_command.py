"""`python -m studies separable`."""

from dataclasses import dataclass

from rich.table import Table

from orbitconv.cli.terminal import Terminal, mean_and_spread
from orbitconv.figures.drawing import write_figure
from orbitconv.records.record import Record
from studies.base.command import run_study
from studies.networks.separable import SeparableStudy, study_separable
from studies.networks.separable_figures import error_by_cost


@dataclass(frozen=True, kw_only=True)
class SeparableCommand(SeparableStudy):
    """Train networks whose group convolutions are dense, or done in two or three cheaper steps; show error and cost.

    Seeds can follow later; several processes may share the work, but the time of a step is best measured by one alone.
    """

    def run(self) -> None:
        """Train, measure, show."""
        terminal = Terminal()
        record = run_study(self.out, self.results, terminal, lambda progress: study_separable(self, progress))
        write_figure(error_by_cost(record.rows), self.out, record.study)
        terminal.console.print(table(record))
        terminal.say(f"Record, figure and networks: {self.out}")


def table(record: Record) -> Table:
    """Every network with its size, its errors and its time."""
    tests = list(dict.fromkeys(str(row["test"]) for row in record.rows))
    shown = Table(title="Group convolutions in cheaper steps: test error in %")
    columns = ("network", "fields", "parameters", "multiply-adds", *tests, "training, s", "step, dense = 1")
    for column in columns:
        shown.add_column(column, justify="left" if column == "network" else "right")
    for step in record.extra["training_steps"]:
        own = [row for row in record.rows if row["network"] == step["network"]]
        first, seconds = own[0], [row["seconds"] for row in own if row["test"] == tests[0]]
        errors = ([row["test_error_percent"] for row in own if row["test"] == test] for test in tests)
        shown.add_row(
            step["network"], f"{first['width']:g}", f"{first['parameters']:,}",
            f"{float(first['multiply_adds'] or 0) / 1e6:.1f} M", *(mean_and_spread(one, 2) for one in errors),
            mean_and_spread(seconds, 0), f"{step['step_ratio']:.2f}",
        )  # fmt: skip
    return shown
