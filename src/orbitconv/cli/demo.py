"""`orbitconv demo`."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.table import Table

from orbitconv._support.progress import ProgressCallback
from orbitconv.cli.folder import fill_folder
from orbitconv.cli.terminal import Terminal, new_table
from orbitconv.demo.demo import Demo, run_demo
from orbitconv.demo.report import tested, write_report
from orbitconv.figures.drawing import family_name
from orbitconv.records.grouping import mean_and_spread
from orbitconv.records.record import Record
from orbitconv.report.measure import Tested


@dataclass(frozen=True, kw_only=True)
class DemoCommand(Demo):
    """Learn how filters turn, train on upright digits, test on digits at any angle.

    Takes about four minutes on two cores. Writes a report with pictures to runs/demo/report.html.
    """

    def run(self) -> None:
        """Run the demo and show its results."""
        networks: list[Tested] = []

        def work(folder: Path, progress: ProgressCallback) -> Record:
            outcome = run_demo(self, progress)
            write_report(outcome, folder, progress)
            networks.extend(tested(outcome))
            return outcome.record

        terminal = Terminal()
        record = fill_folder(self, terminal, work)
        terminal.show(_bases_table(record))
        terminal.show(_networks_table(networks, self.train_images))
        terminal.say(f"Report with pictures: {self.out / 'report.html'}")


def _bases_table(record: Record) -> Table:
    """The table of learned bases."""
    images, seconds = record.extra["fit_images"], record.extra["fit_seconds"]
    columns = ("basis", "atoms", "error at 45°", "error at 90°", "unitarity error", "group-law error")
    table = new_table(f"How filters turn, learned from {images} digits in {seconds:.1f} s", columns, {"basis"})
    for row in record.extra["bases"]:
        law = row["group_law_error"]
        table.add_row(
            family_name(row["family"], row["group"]),
            str(row["num_atoms"]),
            f"{row['error_45_degrees']:.3f}",
            f"{row['error_90_degrees']:.1e}",
            f"{row['unitarity_error']:.1e}",
            "n/a" if law is None else f"{law:.1e}",
        )
    return table


def _networks_table(networks: Sequence[Tested], train_images: int) -> Table:
    """The table of networks."""
    columns = ("network", "upright", "at random angles", "parameters", "multiply-adds", "training, s")
    table = new_table(f"Test error after training on {train_images:,} upright digits, in %", columns, {"network"})
    for one in networks:
        first = one.measured[0]
        table.add_row(
            one.name, mean_and_spread(one.errors), mean_and_spread(one.random_errors), f"{first.parameters:,}",
            f"{first.multiply_adds / 1e6:.1f} M", mean_and_spread(one.seconds, 0),
        )  # fmt: skip
    return table
