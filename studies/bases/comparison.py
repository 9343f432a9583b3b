"""The comparison of bases as tables and as a Pareto front."""

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from orbitconv.figures.drawing import import_plotting, new_figure, tidy_axes
from orbitconv.records.record import Record
from studies.base.command import Shown, page_table, table
from studies.base.peers import describe_skipped
from studies.base.summary import Rows, grouped, values, where

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from rich.table import Table

_MARKERS = {
    "nearest": ("#5f6368", "x"), "bilinear": ("#00806a", "s"), "gaussian": ("#b85c00", "D"), "exact": ("#5f6368", "o"),
    "harmonic": ("#a0306b", "^"), "unitary": ("#0057b8", "o"), "spectral": ("#8a2d8f", "o"),
    "least squares": ("#7a1f1f", "P"), "procrustes": ("#3d4a00", "*"),
    "learned": ("#0057b8", "X"), "escnn": ("#8a6d00", "v"), "e2cnn": ("#1f2328", "1"),
}  # fmt: skip

# Errors below this are those of constants, which every turn keeps.
_LEAST = 3e-4


def show(_config: object, record: Record) -> Shown:
    """Tables and the figure."""
    skipped = record.extra.get("skipped")
    notes = [describe_skipped(skipped)] if skipped else []
    return Shown([*_tables(record), *_orders_table(record)], [("bases", pareto(record.rows))], notes)


def _tables(record: Record) -> "Iterator[Table]":
    """For each kernel, the families on CIFAR-10's test images."""
    numbers = {  # name of the column, format
        "error_worst": ("error", ".3g"), "error_zero_mean_worst": ("zero-mean", ".3g"),
        "unitarity_error": ("unitarity", ".1e"), "group_law_error": ("group law", ".1e"),
        "condition_number": ("condition", ".2f"), "seconds": ("fit, s", ".2f"),
    }  # fmt: skip
    words = ("basis", "fitted to")
    for kernel, own in grouped(where(record.rows, test="cifar10-test"), "kernel").items():
        rows = (
            (
                row["family"], row["train"], str(row["num_atoms"]),
                *("n/a" if row[name] is None else format(row[name], f) for name, (_, f) in numbers.items()),
            )
            for row in own
        )  # fmt: skip
        title = f"{str(record.config['group']).upper()}, {kernel}x{kernel}, on CIFAR-10's test images"
        yield table(title, rows, *words, "atoms", *(name for name, _ in numbers.values()), left=words)


def worst_of_orders(rows: Rows) -> tuple[list[float], float, str]:
    """The unitary basis of every order: its worst errors in float32, and its worst ratio to Procrustes."""
    unitary, other = ({row["group"]: row for row in where(rows, family=family)} for family in ("unitary", "procrustes"))
    worst = [max(values(list(unitary.values()), f"{n}_error")) for n in ("unitarity", "group_law", "quarter_turn")]
    ratios = {g: r["error_rms"] / other[g]["error_rms"] for g, r in unitary.items() if r["error_rms"] > 1e-6}
    if not ratios:
        return worst, 1.0, "all exact"
    group = max(ratios, key=lambda name: ratios[name])
    return worst, ratios[group], group.upper()


def _orders_table(record: Record) -> "Iterator[Table]":
    if any("error_rms" in row for row in record.rows):
        title = f"Unitary bases of C1 to C{record.config['orders']}: the worst of all"
        yield page_table(title, *cells_of_orders(record.rows))


def cells_of_orders(rows: Rows) -> tuple[tuple[str, ...], str, list[tuple[str, ...]]]:
    """The unitary basis of every order, one line per kernel: header, alignment and lines."""
    lines = []
    for kernel, own in sorted(grouped([row for row in rows if "error_rms" in row], "kernel").items()):
        worst, ratio, group = worst_of_orders(own)
        excess = f"{100 * (ratio - 1):.1f} % ({group})"
        lines.append((f"{kernel}x{kernel}", *(f"{value:.0e}" for value in worst), excess))
    header = ("kernel", "unitarity, float32", "group law", "quarter turns", "error above Procrustes, at worst")
    return header, "lrrrr", lines


def pareto(rows: Sequence[Mapping[str, Any]], test: str = "cifar10-test") -> "Figure":
    """Worst equivariance error against the number of atoms, one panel for each kernel size."""
    shown = [
        row for row in rows if row["test"] == test and row["train"] in {"none", "cifar10", "CIFAR-10 training images"}
    ]
    kernels = sorted({int(row["kernel"]) for row in shown})
    figure = new_figure(1.2 + 3.1 * len(kernels), 3.9)
    panels = figure.subplots(1, len(kernels), squeeze=False, sharey=True)[0]
    for axes, kernel in zip(panels, kernels, strict=True):
        own = [row for row in shown if row["kernel"] == kernel]
        for family in dict.fromkeys(str(row["family"]) for row in own):
            color, marker = _MARKERS.get(family.partition(",")[0], ("#1f2328", "."))
            marker = "+" if family == "nearest, grid-constant" else marker
            points = sorted((row["num_atoms"], row["error_worst"]) for row in own if row["family"] == family)
            points = [(atoms, error) for atoms, error in points if error > _LEAST]
            x, y = [p[0] for p in points], [p[1] for p in points]
            hollow = "," in family and not family.startswith("gaussian, sigma 0.3")
            axes.plot(
                x, y, marker=marker, color=color, label=family, linewidth=1.6 if len(points) > 1 else 0,
                markersize=4 if len(points) > 1 else 7, markerfacecolor="white" if hollow else color,
            )  # fmt: skip
        axes.set_yscale("log")
        axes.set_title(f"{kernel}x{kernel}", fontsize=10)
        axes.set_xlabel("atoms")
        axes.set_xlim(left=0)
        axes.xaxis.set_major_locator(import_plotting("matplotlib.ticker").MaxNLocator(6, integer=True))
        tidy_axes(axes, "both")
    panels[0].set_ylabel("worst equivariance error")
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="lower center", ncols=5, frameon=False, fontsize=8.5, handlelength=1.8)
    figure.subplots_adjust(left=0.75 / figure.get_figwidth(), right=0.985, top=0.92, bottom=0.27, wspace=0.08)
    return figure
