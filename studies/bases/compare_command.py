"""Compare all basis families."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from rich.markup import escape
from rich.table import Table

from orbitconv._support.progress import ProgressCallback
from orbitconv.cli.folder import fill_folder
from orbitconv.cli.terminal import Terminal
from orbitconv.records.record import Record
from studies.base.peers import describe_skipped
from studies.bases.compare_bases import CompareBases, compare_bases
from studies.bases.comparison import write_comparison


@dataclass(frozen=True, kw_only=True)
class CompareBasesCommand(CompareBases):
    """Compare all basis families on images that none of them was fitted to.

    Prints a table, and writes it as JSON and CSV with a figure to runs/bases.
    """

    def run(self) -> None:
        """Fit, measure, show."""

        def work(folder: Path, progress: ProgressCallback) -> Record:
            record = compare_bases(self, progress)
            write_comparison(record, folder)
            return record

        terminal = Terminal()
        record = fill_folder(self, terminal, work)
        for table in (*_tables(record), *_orders_table(record)):
            terminal.console.print(table)
        if skipped := record.extra.get("skipped"):
            terminal.say(escape(describe_skipped(skipped)))
        terminal.say(f"All test images, CSV and figure: {self.out}")


def _tables(record: Record) -> Iterator[Table]:
    """For each kernel, the families on CIFAR-10's test images."""
    numbers = {  # name of the column, format
        "error_worst": ("error", ".3g"), "error_zero_mean_worst": ("zero-mean", ".3g"),
        "unitarity_error": ("unitarity", ".1e"), "group_law_error": ("group law", ".1e"),
        "condition_number": ("condition", ".2f"), "seconds": ("fit, s", ".2f"),
    }  # fmt: skip
    for kernel in dict.fromkeys(row["kernel"] for row in record.rows):
        table = Table(title=f"{str(record.config['group']).upper()}, {kernel}x{kernel}, on CIFAR-10's test images")
        for column in ("basis", "fitted to", "atoms", *(title for title, _ in numbers.values())):
            table.add_column(column, justify="left" if column in {"basis", "fitted to"} else "right")
        for row in record.rows:
            if (row["kernel"], row["test"]) == (kernel, "cifar10-test"):
                cells = ["n/a" if row[name] is None else format(row[name], f) for name, (_, f) in numbers.items()]
                table.add_row(str(row["family"]), str(row["train"]), str(row["num_atoms"]), *cells)
        yield table


def _orders_table(record: Record) -> Iterator[Table]:
    """The unitary basis of every order in a line for each kernel: the worst of each figure, and at which order."""
    rows = [row for row in record.rows if "error_rms" in row]
    if not rows:
        return
    table = Table(title=f"Unitary bases of C1 to C{record.config['orders']}, in float32: the worst of all")
    for column in ("kernel", "unitarity", "group law", "quarter turn", "error over Procrustes"):
        table.add_column(column, justify="right")
    for kernel in dict.fromkeys(row["kernel"] for row in rows):
        own = {(row["family"], row["group"]): row for row in rows if row["kernel"] == kernel}
        unitary = {group: row for (family, group), row in own.items() if family == "unitary"}
        worst = [
            max(float(row[name] or 0) for row in unitary.values())
            for name in ("unitarity_error", "group_law_error", "quarter_turn_error")
        ]
        ratios = {
            group: float(row["error_rms"] or 0) / float(own["procrustes", group]["error_rms"] or 1)
            for group, row in unitary.items()
        }
        group = max(ratios, key=lambda name: ratios[name])
        most = f"{ratios[group]:.3f} ({str(group).upper()})"
        table.add_row(f"{kernel}x{kernel}", *(f"{value:.1e}" for value in worst), most)
    yield table
