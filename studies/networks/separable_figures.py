"""The study of cheaper group convolutions as a picture: error against cost."""

import statistics
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from orbitconv.figures.drawing import new_figure
from orbitconv.records.grouping import mean_and_spread
from orbitconv.records.record import Record
from studies.base.command import Shown, table
from studies.base.summary import errors, grouped, values, where

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_COLORS = {"dense": "#8a8f98", "full": "#8a2d8f", "separable": "#0057b8"}
_MARKERS = {"none": "s", "fields": "o", "parameters": "^"}


def show(_config: object, record: Record) -> Shown:
    """Every network with its size, its errors and its time."""
    tests, rows = list(grouped(record.rows, "test")), []
    for step in record.extra["training_steps"]:
        own = where(record.rows, network=step["network"])
        rows.append((
            step["network"], f"{own[0]['width']:g}", f"{own[0]['parameters']:,}",
            f"{own[0]['multiply_adds'] / 1e6:.1f} M", *(mean_and_spread(errors(own)[test], 2) for test in tests),
            mean_and_spread(values(where(own, test=tests[0]), "seconds"), 0), f"{step['step_ratio']:.2f}",
        ))  # fmt: skip
    header = ("network", "fields", "parameters", "multiply-adds", *tests, "training, s", "step, dense = 1")
    shown = table("Group convolutions in cheaper steps: test error in %", rows, *header, left=("network",))
    return Shown([shown], [(record.study, error_by_cost(record.rows))])


def error_by_cost(rows: Sequence[Mapping[str, Any]]) -> "Figure":
    """Test error at random angles against multiply-adds: one pale mark a seed, one strong mark a mean."""
    shown = [row for row in rows if row["test"] == "rotated"]
    figure = new_figure(6.8, 4.0)
    axes = figure.add_axes((0.09, 0.27, 0.88, 0.64))
    for network in dict.fromkeys(row["network"] for row in shown):
        own = [row for row in shown if row["network"] == network]
        look: dict[str, Any] = {
            "color": _COLORS[own[0]["mixing"]],
            "marker": _MARKERS[own[0]["matched"]],
            "linestyle": "none",
        }
        errors, cost = [row["test_error_percent"] for row in own], own[0]["multiply_adds"] / 1e6
        axes.plot([cost] * len(errors), errors, alpha=0.35, markersize=5, **look)
        axes.plot([cost], [statistics.fmean(errors)], markersize=9, label=network, **look)
    axes.set_title("test error at random angles", loc="left", fontsize=10)
    axes.set_xlabel("million multiply-adds for an image")
    axes.set_xlim(left=0)
    axes.set_ylim(bottom=0)
    axes.yaxis.set_major_formatter("{x:.1f} %")
    axes.grid(visible=True, color="#d0d4d9", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.tick_params(length=0)
    figure.legend(loc="lower center", ncols=3, frameon=False, fontsize=9)
    return figure
