"""`orbitconv compare-bases` and `orbitconv learn-basis`."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from rich.table import Table

from orbitconv.cli.folder import fill_folder
from orbitconv.cli.terminal import Terminal
from orbitconv.experiments.bases import CompareBases, compare_bases
from orbitconv.experiments.compare import write_comparison
from orbitconv.experiments.learn_basis import LearnBasis, learn_basis
from orbitconv.experiments.record import Record
from orbitconv.progress import ProgressCallback


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
        for table in _tables(fill_folder(self, terminal, work)):
            terminal.console.print(table)
        terminal.say(f"All test images, CSV and figure: {self.out}")


@dataclass(frozen=True, kw_only=True)
class LearnBasisCommand(LearnBasis):
    """Learn how filters turn from images, in closed form, and write the basis as one file.

    Load it with orbitconv.bases.load_basis("FILE.safetensors"), or name the file where a layer takes a basis.
    """

    def run(self) -> None:
        """Fit and write."""
        terminal = Terminal()
        with terminal.progress() as progress:
            facts = learn_basis(self, progress)
        terminal.show_facts(f"{self.out}", facts)


def _tables(record: Record) -> Iterator[Table]:
    """For each kernel, the families on CIFAR-10's test images."""
    numbers = {
        "error_worst": "error", "error_zero_mean_worst": "zero-mean", "unitarity_error": "unitarity",
        "group_law_error": "group law", "condition_number": "condition", "seconds": "fit, s",
    }  # fmt: skip
    for kernel in dict.fromkeys(row["kernel"] for row in record.rows):
        table = Table(title=f"{str(record.config['group']).upper()}, {kernel}x{kernel}, on CIFAR-10's test images")
        for column in ("basis", "fitted to", "atoms", *numbers.values()):
            table.add_column(column, justify="left" if column in {"basis", "fitted to"} else "right")
        for row in record.rows:
            if (row["kernel"], row["test"]) == (kernel, "cifar10-test"):
                cells = ["n/a" if row[name] is None else f"{row[name]:.3g}" for name in numbers]
                table.add_row(str(row["family"]), str(row["train"]), str(row["num_atoms"]), *cells)
        yield table
