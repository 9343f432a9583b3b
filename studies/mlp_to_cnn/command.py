"""`python -m studies mlp-to-cnn`: networks that ignore, learn or know what a translation is."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rich.table import Table

from orbitconv._support.folders import read_arrays
from orbitconv.cli.terminal import Terminal, mean_and_spread
from orbitconv.figures.drawing import write_figure
from orbitconv.records.record import Row
from studies.base.command import run_study
from studies.mlp_to_cnn.figures import error_bars, learning_curves
from studies.mlp_to_cnn.pictures import filters_and_orbit, translation_matrices
from studies.mlp_to_cnn.study import MlpToCnn, compare_mlp_to_cnn

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True, kw_only=True)
class MlpToCnnCommand(MlpToCnn):
    """Learn from pairs how translations act on digits, in plain and in random pixel order; compare MLP, ours and CNN.

    Takes about an hour and a half on one core; a study that was stopped goes on.
    """

    def run(self) -> None:
        """Learn, train, measure, show."""
        terminal = Terminal()
        record = run_study(self.out, self.results, terminal, lambda progress: compare_mlp_to_cnn(self, progress))
        for name, figure in draw(self.out, record.rows):
            write_figure(figure, self.out, name)
        for table in tables(record.rows):
            terminal.console.print(table)
        terminal.say(f"Record and figures: {self.out}")


def draw(folder: Path, rows: list[Row]) -> "Iterator[tuple[str, Figure]]":
    """The figures of a study, as far as its parts are done."""
    parts = {row["part"] for row in rows}
    if "main" in parts:
        yield "mlp_to_cnn_errors", error_bars(rows)
    if "main" in parts and (folder / "filters-permuted.npz").exists():
        learned = {test: read_arrays(folder / f"translations-{test}.npz") for test in ("plain", "permuted")}
        filters = read_arrays(folder / "filters-permuted.npz")["filters"]
        orders = {test: tensors["order"] for test, tensors in learned.items()}
        yield "mlp_to_cnn_filters", filters_and_orbit(filters, learned["permuted"]["closed"], orders["permuted"])
        right = {test: tensors["learned"][1] for test, tensors in learned.items()}
        yield "mlp_to_cnn_translation", translation_matrices(right, orders)
    if parts & {"pairs", "labels"}:
        yield "mlp_to_cnn_curves", learning_curves(rows)


def tables(rows: list[Row]) -> list[Table]:
    """One table for each part of the study: the main comparison, few pairs, few labels."""
    parts = {
        "main": ("MNIST, test error in %", ("test", "family")),
        "pairs": ("Learned from few pairs, pixels in random order", ("family", "test", "learner", "pairs")),
        "labels": ("Trained on few labels", ("labels", "family", "test")),
    }
    shown = []
    for part, (title, keys) in parts.items():
        groups: dict[tuple[object, ...], list[Row]] = {}
        for row in rows:
            if row["part"] == part:
                groups.setdefault(tuple(row[key] for key in keys), []).append(row)
        if groups:
            shown.append(_table(title, keys, groups))
    return shown


def _table(title: str, keys: tuple[str, ...], groups: dict[tuple[object, ...], list[Row]]) -> Table:
    """Means over seeds; distances of the learned action where there is one."""
    table = Table(title=title)
    for column in (*keys, "test error", "parameters", "seconds", "distance, learned", "distance, closed"):
        table.add_column(column, justify="left" if column in {"family", "test", "learner"} else "right")
    for key, own in groups.items():
        names = [f"{value:,}" if isinstance(value, int) else str(value or "-") for value in key]
        numbers = [
            [float(value) for row in own if (value := row[column]) is not None]
            for column in ("test_error_percent", "seconds")
        ]
        count = own[0]["parameters"]
        table.add_row(
            *names, mean_and_spread(numbers[0], 2), "-" if count is None else f"{count:,}",
            mean_and_spread(numbers[1], 0),
            *(_brief(own[0].get(column)) for column in ("distance_learned", "distance_closed")),
        )  # fmt: skip
    return table


def _brief(value: str | float | None) -> str:
    return f"{value:.2g}" if isinstance(value, float | int) else "-"
