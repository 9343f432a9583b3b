"""The charts of a report on runs: one line for each kind of network, its mean over seeds in a band of their spread."""

import itertools
import math
import statistics
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from orbitconv.figures.drawing import Curve, Look, draw_curve, headroom, import_plotting, new_figure, tidy_axes
from orbitconv.records.grouping import values_by
from orbitconv.report.grouping import Kind
from orbitconv.report.measure import Measured

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_PLAIN = Look("#5f6368", (0, (1, 1.3)), 2.0)
_COLORS = ("#0057b8", "#b85c00", "#00806a", "#8a2d8f", "#a0306b", "#3d4a00", "#7a1f1f", "#1f8fb3")
_DASHES = ("-", (0, (6, 2)), (0, (6, 1.5, 1, 1.5)), (0, (3, 1, 1, 1, 1, 1)))

FLOOR = 1e-4
"""Smaller equivariance errors are drawn here, so that exact layers do not compress the scale of the others."""

# As many points at most get a marker, as many layers a name, and as many lines a band.
_MARKED, _NAMED, _BANDS = 12, 12, 5


def looks_of(plain: Sequence[bool]) -> list[Look]:
    """Choose a look for each kind: the first plain one grey and dotted, the others by colour, then by dashes."""
    others = itertools.cycle(Look(color, dashes, 2.0) for dashes in _DASHES for color in _COLORS)
    grey = itertools.chain([_PLAIN], others)
    return [next(grey if is_plain else others) for is_plain in plain]


def shows_bands(lines: Collection[object]) -> bool:
    """Whether lines get a band of their spread; bands of many lines would only hide each other."""
    return len(lines) <= _BANDS


def learning_figures(kinds: Sequence[Kind], looks: Sequence[Look]) -> Iterator[tuple[str, "Figure"]]:
    """Loss and errors against the epoch."""
    lines = {id(kind): [run.rows for run in kind.runs] for kind in kinds}
    names = dict.fromkeys(name for rows in lines.values() for row in itertools.chain(*rows) for name in row)
    last = max((float(row["epoch"]) for rows in lines.values() for row in itertools.chain(*rows)), default=1.0)
    for column in ("loss", *(name for name in names if name.endswith("_error_percent"))):
        figure = new_figure(3.9, 3.0)
        axes = figure.add_axes((0.14, 0.165, 0.82, 0.72))
        points = [values_by(itertools.chain(*lines[id(kind)]), "epoch", column) for kind in kinds]
        values = [value for at in points for some in at.values() for value in some]
        if not values or (last > 1 and max(map(len, points)) == 1):
            continue  # tested once, at the end: that is in the tables
        few = max(map(len, points)) <= _MARKED
        for at, look in zip(points, looks, strict=True):
            draw_curve(axes, Curve(points=at, look=look, band=shows_bands(points)), marker="o" if few else "")
        words = column.removesuffix("_percent").replace("_", " ")
        axes.set_title(f"{words}, %" if column.endswith("_percent") else words, loc="left", fontsize=11, x=-0.12, pad=9)
        axes.set_xlabel("epoch")
        axes.set_xlim(1 - 0.03 * last, max(last, 2) + 0.03 * last)
        axes.xaxis.set_major_locator(import_plotting("matplotlib.ticker").MaxNLocator(6, integer=True))
        _scale(axes, values)
        tidy_axes(axes)
        yield words, figure


def _scale(axes: "Axes", values: Sequence[float]) -> None:
    """A logarithmic scale for figures that span much, else one from zero."""
    ticker = import_plotting("matplotlib.ticker")
    low, high = min(values), max(values)
    if not 0 < 10 * low < high:
        axes.set_ylim(0, headroom(axes))
        axes.yaxis.set_major_locator(ticker.MaxNLocator(5))
        return
    _log_scale(axes, low / 1.3, high * 1.3)


def _log_scale(axes: "Axes", low: float, high: float) -> None:
    """A logarithmic scale with at least two labels, which few decades need 1, 2 and 5 for."""
    ticker = import_plotting("matplotlib.ticker")
    axes.set_yscale("log")
    axes.set_ylim(low, high)
    axes.yaxis.set_minor_locator(ticker.NullLocator())
    if high < 1000 * low:
        axes.yaxis.set_major_locator(ticker.LogLocator(subs=(1, 2, 5)))
        axes.yaxis.set_major_formatter("{x:g}")


def layer_points(measured: Sequence[Measured]) -> dict[str, list[float]]:
    """Equivariance error of every layer, the mean over all elements of the group but the identity."""
    points: dict[str, list[float]] = {}
    for one in measured:
        for name, errors in one.layers.items():
            mean = statistics.fmean(errors[1:] or errors)
            points.setdefault(name, []).extend([mean] if math.isfinite(mean) else [])
    return points


def layer_figure(points: Sequence[Mapping[str, Sequence[float]]], looks: Sequence[Look]) -> "Figure":
    """Equivariance errors along the layers: a panel for the kinds whose layers have the same names.

    A kind for which `layer_points` gave none is left out.
    """
    panels: dict[tuple[str, ...], list[tuple[Mapping[str, Sequence[float]], Look]]] = {}
    for at, look in zip(points, looks, strict=True):
        if at:
            panels.setdefault(tuple(at), []).append((at, look))
    values = [max(v, FLOOR) for at in points for some in at.values() for v in some] or [1.0]
    figure = new_figure(8.6, 3.6 * len(panels) + 0.2)
    grid = figure.subplots(len(panels), 1, squeeze=False)[:, 0]
    figure.subplots_adjust(left=0.075, right=0.975, top=1 - 0.42 / figure.get_figheight(),
                           bottom=0.4 / figure.get_figheight(), hspace=0.35)  # fmt: skip
    for axes, (names, curves) in zip(grid, panels.items(), strict=True):
        for at, look in curves:
            there = {float(place): [max(v, FLOOR) for v in at[name]] for place, name in enumerate(names) if at[name]}
            draw_curve(axes, Curve(points=there, look=look, band=shows_bands(points)), marker="o")
        _log_scale(axes, min(values) / 2, max(values) * 2)
        every = -(-len(names) // _NAMED)
        axes.set_xticks(range(0, len(names), every), names[::every])
        axes.set_xlim(-0.3, len(names) - 0.7)
        axes.set_title("equivariance error of each layer (0: turns with the image)", loc="left", fontsize=11, x=-0.06)
        tidy_axes(axes)
    return figure
