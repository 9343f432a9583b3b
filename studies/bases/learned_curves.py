"""How bases came to be learned by gradient: the curves of their trainings, as numbers for a record and drawn."""

import itertools
import math
import statistics
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from orbitconv.bases import FilterBasis, LearnedBasis
from orbitconv.figures.drawing import Look, import_plotting, new_figure
from orbitconv.learn import BasisTraining, Moments, TrainedBasis
from orbitconv.metrics import basis_equivariance_error
from orbitconv.records.grouping import mean_and_spread
from orbitconv.records.record import Record
from studies.base.command import Shown, table
from studies.base.summary import grouped, values

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LOSSES = ("equivariance", "reconstruction", "orthogonality")

# Points that a curve has, but for its start.
_POINTS = 20
_INK, _FAINT, _LINE = "#1f2328", "#d0d4d9", "#5f6368"
_TITLES = {"held_out_error": "equivariance error on held-out images, mean over all turns but 0°"}
_LOOKS = {
    "default": Look("#0057b8", "-", 2.2),
    "l2": Look("#8a2d8f", (0, (9, 2)), 2.0),
    "paper": Look("#b85c00", (0, (5, 2)), 2.0),
    "paper-standardized": Look("#a0306b", (0, (3, 1, 1, 1, 1, 1)), 2.0),
    "paper-interpolated": Look("#00806a", (0, (6, 1.5, 1, 1.5)), 2.0),
}
_OTHER = Look("#0057b8", "-", 2.2)
_NAMES = {
    "default": "our settings", "l2": "ours, L2 losses", "paper": "the paper's",
    "paper-standardized": "the paper's, images of zero mean", "paper-interpolated": "the paper's, interpolated start",
}  # fmt: skip


def show(_config: object, record: Record) -> Shown:
    """Errors at each angle: mean, and standard deviation over seeds, of every kind of basis; the curves."""
    first = record.rows[0]
    tested = "CIFAR-10's test images" if first["test"] == "cifar10-test" else "the pictures held out"
    numbers = {name: f"{name[6:]}°" for name in first if name[6:].replace(".", "", 1).isdigit()}
    numbers |= {"error_worst": "worst", "unitarity_error": "unitarity"}
    several = len(grouped(record.rows, "settings").keys() - {"none"}) > 1
    words = ("basis", "settings") if several else ("basis",)
    rows = (
        (
            *(family, "" if settings == "none" else settings)[: len(words)], str(own[0]["num_atoms"]),
            *(mean_and_spread(values(own, name), 3) for name in numbers),
        )
        for (settings, family), own in grouped(record.rows, "settings", "family").items()
    )  # fmt: skip
    title = f"Equivariance error, {str(first['group']).upper()}, {first['kernel']}x{first['kernel']}, on {tested}"
    shown = table(title, rows, *words, "atoms", *numbers.values(), left=words)
    return Shown([shown], [("curve", draw_curves(record.extra["curves"], record.extra["baselines_held_out_error"]))])


def mean_error(basis: FilterBasis, moments: Moments) -> float:
    """The figure that a training goes by: the equivariance error, a mean over all elements but the identity."""
    errors = basis_equivariance_error(basis, moments)
    return float((errors[1:] if len(errors) > 1 else errors).mean())


def curve(settings: str, training: BasisTraining, trained: TrainedBasis) -> dict[str, Any]:
    """How one training went, in about twenty points."""
    basis = trained.basis
    start = LearnedBasis(
        basis.group, basis.kernel_size[0], training.num_atoms, start=training.start, orthogonal=training.orthogonal,
        seed=training.seed,
    )  # fmt: skip
    measured = [int(row["step"]) for row in trained.metrics if "held_out_error" in row]
    steps = [0, *measured[:: -max(1, round(len(measured) / _POINTS))][::-1]]  # the last one always
    errors = [mean_error(start, trained.held_out)]
    errors += [trained.metrics[step - 1]["held_out_error"] for step in steps[1:]]
    columns: dict[str, list[float | None]] = {"held_out_error": [brief(error) for error in errors]}
    for name in LOSSES:
        stretches = itertools.pairwise(steps)
        means = [brief(statistics.fmean(row[name] for row in trained.metrics[a:b])) for a, b in stretches]
        columns[name] = [None, *means]
    return {"settings": settings, "seed": training.seed, "step": steps, **columns}


def brief(value: float) -> float:
    """A number with the digits that a curve needs."""
    return float(f"{value:.4g}")


def draw_curves(curves: Sequence[Mapping[str, Any]], lines: Mapping[str, float]) -> "Figure":
    """The held-out error against the step, with the baselines as level lines, and the three losses beside it."""
    figure = new_figure(10.2, 5.0)
    settings = list(dict.fromkeys(str(one["settings"]) for one in curves))
    top = 0.93 if len(settings) == 1 else 0.91 - 0.04 * math.ceil(len(settings) / 2)
    grid = figure.add_gridspec(3, 2, width_ratios=(2.1, 1), left=0.055, right=0.975, top=top, bottom=0.105,
                               hspace=0.5, wspace=0.5)  # fmt: skip
    main = figure.add_subplot(grid[:, 0])
    panels = [main, *(figure.add_subplot(grid[row, 1]) for row in range(len(LOSSES)))]
    ends = {name: max(one["step"][-1] for one in curves if one["settings"] == name) for name in settings}
    shared = len(set(ends.values())) == 1
    for axes, column in zip(panels, ("held_out_error", *LOSSES), strict=True):
        for name in settings:
            own = [one for one in curves if one["settings"] == name]
            label = _NAMES.get(name, name) if shared else f"{_NAMES.get(name, name)} ({ends[name]:,} steps)"
            _draw(axes, own, column, label, 1 if shared else 100 / ends[name])
        _tidy(axes, ends[settings[0]] if shared else 100)
        axes.set_title(_TITLES.get(column, f"{column} loss"), loc="left", fontsize=10, color=_INK)
    for name, place in _apart(lines).items():
        main.axhline(lines[name], color=_LINE, linewidth=1.1, linestyle=(0, (1.5, 1.5)), zorder=2)
        main.annotate(name, (1, place), (6, 0), xycoords=("axes fraction", "data"), textcoords="offset points",
                      fontsize=9, color=_LINE, va="center", annotation_clip=False)  # fmt: skip
    for axes in (main, panels[-1]):
        axes.set_xlabel("step" if shared else "steps, in % of all", color=_INK)
    for axes in panels[1:-1]:
        axes.set_xticklabels([])
    if len(settings) > 1:
        figure.legend(
            *main.get_legend_handles_labels(), loc="upper left", bbox_to_anchor=(0.048, 0.995), ncols=2,
            frameon=False, fontsize=9.5, handlelength=3, columnspacing=1.5, borderaxespad=0.2,
        )  # fmt: skip
    return figure


def _draw(axes: "Axes", curves: Sequence[Mapping[str, Any]], column: str, label: str, scale: float) -> None:
    """One line for all seeds of some settings; steps are multiplied by a scale."""
    look = _LOOKS.get(str(curves[0]["settings"]), _OTHER)
    length = min(len(one["step"]) for one in curves)  # patience may have stopped some earlier
    first = 1 if curves[0][column][0] is None else 0
    steps = np.array(curves[0]["step"][first:length]) * scale
    values = np.array([one[column][first:length] for one in curves], dtype=float)
    if len(curves) > 1:
        axes.fill_between(steps, values.min(0), values.max(0), color=look.color, alpha=0.15, linewidth=0)
    axes.plot(
        steps, values.mean(0), color=look.color, linestyle=look.dashes, linewidth=look.width, label=label, zorder=3
    )


def _apart(lines: Mapping[str, float], least: float = 1.2) -> dict[str, float]:
    """Where to write the names of lines on a logarithmic axis, so that none covers another."""
    places: dict[str, float] = {}
    below = 0.0
    for name, value in sorted(lines.items(), key=lambda item: item[1]):
        below = max(value, below * least)
        places[name] = below
    return places


def _tidy(axes: "Axes", last: float) -> None:
    """Logarithmic errors over steps, in plain numbers."""
    ticker = import_plotting("matplotlib.ticker")
    axes.set_yscale("log")
    low, high = axes.get_ylim()
    subs = (1.0, 2.0, 5.0) if high > 12 * low else (1.0, 1.5, 2.0, 3.0, 5.0, 7.0)
    axes.yaxis.set_major_locator(ticker.LogLocator(subs=subs))
    axes.yaxis.set_major_formatter(ticker.FuncFormatter(lambda y, _: f"{y:g}"))
    axes.yaxis.set_minor_locator(ticker.NullLocator())
    axes.xaxis.set_major_locator(ticker.MaxNLocator(5, integer=True))
    axes.set_xlim(0, last)
    axes.grid(visible=True, axis="y", color=_FAINT, linewidth=0.5, alpha=0.6)
    axes.set_axisbelow(True)
    axes.tick_params(length=0, colors=_INK, pad=5, labelsize=9)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.spines["bottom"].set_color(_FAINT)
