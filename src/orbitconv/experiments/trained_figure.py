"""Networks on learned and hand-made bases as a picture: one point a seed, one bar a mean."""

import statistics
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from orbitconv.experiments.figures import import_plotting, new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_COLORS = {
    "harmonic": "#a0306b", "spectral": "#8a2d8f", "spectral, whitened": "#0057b8",
    "spectral, up to N/2": "#5f6368", "spectral, whitened, up to N/2": "#b85c00",
}  # fmt: skip


def errors_by_kernel(rows: Sequence[Mapping[str, Any]]) -> "Figure":
    """Test error at random angles for each kernel size and family.

    Args:
        rows: Rows of the study of trained bases.

    Returns:
        The figure.
    """
    shown = [row for row in rows if row["test"] == "rotated"]
    kernels = sorted({int(row["kernel"]) for row in shown})
    families = list(dict.fromkeys(str(row["family"]) for row in shown))
    figure = new_figure(6.4, 3.9)
    axes = figure.add_axes((0.1, 0.13, 0.87, 0.72))
    for f, family in enumerate(families):
        color = _COLORS.get(family, "#1f2328")
        named = False
        for k, kernel in enumerate(kernels):
            errors = [row["test_error_percent"] for row in shown if (row["kernel"], row["family"]) == (kernel, family)]
            if not errors:
                continue
            x = k + 0.8 / len(families) * (f - (len(families) - 1) / 2)
            width = 0.7 / len(families)
            axes.bar(x, statistics.fmean(errors), width, color=color, alpha=0.3, label=None if named else family)
            axes.plot([x] * len(errors), errors, ".", color=color, markersize=8)
            named = True
    atoms = {int(row["kernel"]): row["num_atoms"] for row in shown}
    axes.set_xticks(range(len(kernels)), [f"{k}x{k}, {atoms[k]} atoms" for k in kernels])
    axes.set_title("test error at random angles", loc="left", fontsize=10)
    axes.yaxis.set_major_formatter("{x:.0f} %")
    axes.yaxis.set_major_locator(import_plotting("matplotlib.ticker").MaxNLocator(6, integer=True))
    axes.grid(visible=True, axis="y", color="#d0d4d9", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.tick_params(length=0)
    axes.legend(loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=3, frameon=False, fontsize=9)
    return figure
