"""What a person sees while a command works, and when it is done."""

import statistics
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

from orbitconv.experiments.figures import family_name
from orbitconv.experiments.findings import results
from orbitconv.experiments.record import Record
from orbitconv.progress import ProgressCallback


class Terminal:
    """The terminal, through rich: bars where it is one, one line per finished job where it is a file."""

    def __init__(self) -> None:
        self.console = Console()

    @contextmanager
    def progress(self) -> Iterator[ProgressCallback]:
        """Show progress.

        Yields:
            Callback (what, done, total).
        """
        live = self.console.is_terminal
        columns = (
            TextColumn("{task.description:<22}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(),
            TextColumn("left"), TimeRemainingColumn(),
        )  # fmt: skip
        with Progress(*columns, console=self.console, disable=not live) as bars:
            tasks = {}

            def update(what: str, done: int, total: int) -> None:
                if what not in tasks:
                    tasks[what] = bars.add_task(what, total=None)
                    if not live:
                        self.console.print(f"{what} ...")
                bars.update(tasks[what], completed=done, total=total or None)

            yield update

    def show_demo(self, record: Record, folder: Path) -> None:
        """Print the demo's tables and where its report lies.

        Args:
            record: What was measured.
            folder: Folder of the report.
        """
        fit = Table(title=f"How filters turn, learned from {record.extra['fit_images']} digits "
                    f"in {record.extra['fit_seconds']:.1f} s")  # fmt: skip
        for column in ("basis", "atoms", "error at 45°", "error at 90°", "unitarity error", "group-law error"):
            fit.add_column(column, justify="left" if column == "basis" else "right")
        for row in record.extra["bases"]:
            law = row["group_law_error"]
            fit.add_row(
                family_name(row["family"], row["group"]),
                str(row["num_atoms"]),
                f"{row['error_45_degrees']:.3f}",
                f"{row['error_90_degrees']:.1e}",
                f"{row['unitarity_error']:.1e}",
                "n/a" if law is None else f"{law:.1e}",
            )
        self.console.print(fit)
        table = Table(title=f"Test error after training on {record.config['train_images']:,} upright digits, in %")
        for column in ("network", "parameters", "upright", "at random angles", "training, s"):
            table.add_column(column, justify="left" if column == "network" else "right")
        for one in results(record.rows):
            seconds = statistics.fmean(one.seconds)
            table.add_row(one.name, f"{one.parameters:,}", _mean(one.upright), _mean(one.turned), f"{seconds:.0f}")
        self.console.print(table)
        self.console.print(f"Report with pictures: {folder / 'report.html'}", soft_wrap=True)

    def show_bases(self, record: Record, folder: Path) -> None:
        """Print the comparison of bases, for each kernel the families on CIFAR-10's test images.

        Args:
            record: What was measured.
            folder: Folder of the files.
        """
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
            self.console.print(table)
        self.console.print(f"All test images, CSV and figure: {folder}", soft_wrap=True)

    def show_facts(self, title: str, facts: dict[str, object]) -> None:
        """Print what is known about something, one fact a line.

        Args:
            title: What it is.
            facts: Names and values; long lists are left out.
        """
        table = Table(title=title, show_header=False)
        for name, value in facts.items():
            if not isinstance(value, list | tuple):
                table.add_row(name.replace("_", " "), f"{value:.4g}" if isinstance(value, float) else str(value))
        self.console.print(table)


def _mean(values: list[float]) -> str:
    """Mean, and spread where there are several values."""
    mean = f"{statistics.mean(values):.1f}"
    return f"{mean} ± {statistics.stdev(values):.1f}" if len(values) > 1 else mean
