"""Test errors of a study of networks as a figure: one dot per seed, one line per mean."""

import statistics
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from orbitconv.figures.drawing import import_plotting, new_figure, tidy_axes
from orbitconv.records.grouping import mean_and_spread
from orbitconv.records.record import Record
from studies.base.command import Shown, table
from studies.base.summary import Kind, grouped, kinds, mean
from studies.networks.bases import LEARNED

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_COLORS = {"upright": "#8a8f98", "rotated": "#0057b8"}
_TITLES = {"upright": "upright test images", "rotated": "test images at random angles"}
# Errors in percent that the axis names, if three of them are in its range.
_MARKS = (0.2, 0.5, 1, 2, 5, 10, 20, 50, 100)
# Inches for each kind of network.
_ROW = 0.27


def show(_config: object, record: Record) -> Shown:
    """Every kind of network with its errors, the best first among those trained alike."""
    tests = list(grouped(record.rows, "test"))
    cells = (
        (
            kind.name, str(kind.first["num_atoms"]), f"{kind.first['parameters']:,}",
            f"{kind.first['multiply_adds'] / 1e6:.1f} M", kind.rotation, str(kind.epochs),
            *(mean_and_spread(kind.errors.get(test, ()), 2) for test in tests), f"{mean(kind.rows, 'seconds'):.0f}",
        )
        for kind in kinds(record.rows)
    )  # fmt: skip
    header = ("network", "atoms", "parameters", "multiply-adds", "turned", "epochs", *tests, "training, s")
    shown = table(f"{record.study}: test error in %", cells, *header, left=("network", "turned"))
    return Shown([shown], [(record.study, errors_by_family(record.rows))])


def errors_by_family(rows: Sequence[Mapping[str, Any]]) -> "Figure":
    """Test error of every kind of network, the best on top; learned families in bold."""
    found = kinds(rows)
    tests = [test for test in _TITLES if any(test in kind.errors for kind in found)]
    height = 0.9 + _ROW * len(found)
    figure = new_figure(7.2, height)
    axes = figure.add_axes((0.33, 0.6 / height, 0.64, 1 - 0.9 / height))
    for place, kind in enumerate(found):
        for test in tests:
            errors = kind.errors.get(test, [])
            axes.plot(errors, [place] * len(errors), "o", color=_COLORS[test], markersize=4.5, alpha=0.55)
            if errors:
                mean = statistics.fmean(errors)
                axes.plot([mean, mean], [place - 0.32, place + 0.32], color=_COLORS[test], linewidth=2.2)
    axes.set_yticks(range(len(found)), [_label(kind) for kind in found])
    for tick, kind in zip(axes.get_yticklabels(), found, strict=True):
        tick.set_fontweight("bold" if kind.family in LEARNED else "normal")
    axes.set_ylim(len(found) - 0.5, -0.5)
    axes.set_xscale("log")
    axes.xaxis.set_minor_locator(import_plotting("matplotlib.ticker").NullLocator())
    low, high = axes.get_xlim()
    marks = [mark for mark in _MARKS if low <= mark <= high]
    if len(marks) < 3:
        found = import_plotting("matplotlib.ticker").MaxNLocator(4).tick_values(low, high)
        marks = [float(mark) for mark in found if low <= mark <= high]
    axes.set_xticks(marks, [f"{mark:g} %" for mark in marks])
    tidy_axes(axes, "x")
    for test in tests:
        axes.plot([], [], "o", color=_COLORS[test], markersize=4.5, label=_TITLES[test])
    figure.legend(loc="lower left", ncols=2, frameon=False, fontsize=9)
    return figure


def _label(kind: Kind) -> str:
    """Name of a kind, and its training where that is not the default."""
    turned = "" if kind.rotation == "none" else f", turned ({kind.rotation}), {kind.epochs} epochs"
    return kind.name + turned
