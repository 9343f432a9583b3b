"""Networks on learned and hand-made bases as a picture: one point a seed, one bar a mean."""

import statistics
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from orbitconv.figures.drawing import import_plotting, new_figure
from orbitconv.records.grouping import mean_and_spread
from orbitconv.records.record import Record
from studies.base.command import Shown, table
from studies.base.summary import errors, grouped

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_COLORS = {
    "harmonic": "#a0306b", "spectral": "#8a2d8f", "spectral, whitened": "#0057b8",
    "spectral, up to N/2": "#5f6368", "spectral, whitened, up to N/2": "#b85c00",
}  # fmt: skip


def show(_config: object, record: Record) -> Shown:
    """Errors by kernel and basis, mean and spread over seeds."""
    rows = (
        (
            f"{kernel}x{kernel}", family, str(own[0]["num_atoms"]), f"{own[0]['basis_error_worst']:.3g}",
            f"{own[0]['parameters']:,}", *(mean_and_spread(errors(own)[test]) for test in ("upright", "rotated")),
        )
        for (kernel, family), own in grouped(record.rows, "kernel", "family").items()
    )  # fmt: skip
    title = f"Test error after training on {record.config['train_images']:,} upright digits, in %"
    header = ("kernel", "basis", "atoms", "basis error", "parameters", "upright", "at random angles")
    return Shown([table(title, rows, *header, left=("basis",))], [(record.study, errors_by_kernel(record.rows))])


def errors_by_kernel(rows: Sequence[Mapping[str, Any]]) -> "Figure":
    """Test error at random angles for each kernel size and family."""
    shown = [row for row in rows if row["test"] == "rotated"]
    kernels = sorted({int(row["kernel"]) for row in shown})
    families = sorted({str(row["family"]) for row in shown}, key=lambda name: [*_COLORS, name].index(name))
    figure = new_figure(6.8, 4.2)
    axes = figure.add_axes((0.09, 0.24, 0.89, 0.68))
    for k, kernel in enumerate(kernels):
        own = [family for family in families if any((r["kernel"], r["family"]) == (kernel, family) for r in shown)]
        for f, family in enumerate(own):
            color = _COLORS.get(family, "#1f2328")
            errors = [r["test_error_percent"] for r in shown if (r["kernel"], r["family"]) == (kernel, family)]
            x = k + 0.17 * (f - (len(own) - 1) / 2)
            axes.bar(x, statistics.fmean(errors), 0.15, color=color, alpha=0.3)
            axes.plot([x] * len(errors), errors, ".", color=color, markersize=8)
    for family in families:
        axes.bar(0, 0, color=_COLORS.get(family, "#1f2328"), alpha=0.3, label=family)
    atoms = {int(row["kernel"]): row["num_atoms"] for row in shown}
    axes.set_xticks(range(len(kernels)), [f"{k}x{k}, {atoms[k]} atoms" for k in kernels])
    axes.set_title("test error at random angles", loc="left", fontsize=10)
    axes.yaxis.set_major_formatter("{x:.0f} %")
    axes.yaxis.set_major_locator(import_plotting("matplotlib.ticker").MaxNLocator(6, integer=True))
    axes.grid(visible=True, axis="y", color="#d0d4d9", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.tick_params(length=0)
    figure.legend(loc="lower center", ncols=3, frameon=False, fontsize=9)
    return figure
