"""Both studies as tables on the terminal, and as figures."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from orbitconv.figures.drawing import (
    Curve,
    Look,
    draw_curve,
    import_plotting,
    looks,
    new_figure,
    tidy_axes,
)  # fmt: skip
from orbitconv.records.grouping import Spread, mean_and_spread, values_by
from orbitconv.records.record import Record
from studies.base.command import Shown, table
from studies.base.summary import grouped, mean, values, where
from studies.rivals.rows import FREE, MULTIPLY_ADDS, PARAMETERS, TIME

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.text import Annotation

Rows = Sequence[Mapping[str, Any]]

COMPARED = (PARAMETERS, MULTIPLY_ADDS, TIME, FREE)
"""Plain networks with rotated images that the reference is compared with."""
TITLES = {
    "rotated-mnist": "digits at any angle", "eurosat": "satellite pictures",
    "rotated-cifar10": "photographs at any angle",
}  # fmt: skip
_TICKS = (1, 2, 3, 5, 7, 10, 15, 20, 30, 40, 50, 60, 70, 80)
_LEAST = 0.01
"""The smallest cost that the figures resolve."""
_PLAIN, _GROUP = "#5f6368", "#8a2d8f"
_PLACES = ((5, 4), (5, -8), (-5, 4), (-5, -8), (5, 12), (5, -16), (-5, 12), (-5, -16))
"""Where the name of a dot may begin, or end, from it, in points."""


def show_rivals(_config: object, record: Record) -> Shown:
    """Every network on every data set, the lead of the reference, and two figures of error against cost."""
    header = ("network", "epochs", "parameters", "multiply-adds", "training, s", "ms a picture", "ONNX, MB", "error")
    shown = []
    for data, rows in grouped(where(record.rows, table="rivals"), "data").items():
        lines = [
            (
                name, str(own[0]["epochs"]), f"{own[0]['parameters']:,}", f"{own[0]['multiply_adds'] / 1e6:.1f} M",
                f"{mean(own, 'seconds'):.0f}", f"{own[0]['picture_ms']:.2f}", f"{own[0]['onnx_mb']:.2f}",
                mean_and_spread(values(own, "test_error_percent"), 2),
            )
            for name, own in grouped(rows, "network").items()
        ]  # fmt: skip
        shown.append(table(f"{TITLES[data]}: test error in %", lines, *header, left=("network",)))
    reference = record.config["reference"]
    lines = [
        (TITLES[data], plain, f"{spread.mean:+.2f} ± {spread.deviation:.2f}")
        for data in grouped(where(record.rows, table="rivals"), "data")
        for plain, spread in lost(record.rows, data, reference).items()
    ]
    shown.append(table(f"Points that {reference} is ahead", lines, "data", "of", "points", left=("data", "of")))
    return Shown(shown, [("rivals", fronts(record.rows))])


def lost(rows: Rows, data: str, reference: str) -> dict[str, Spread]:
    """For each plain network, its error minus that of the reference, in points, paired by seed."""
    family, _, group = reference.partition("-")
    own = where(rows, table="rivals", data=data)
    base = {row["seed"]: row["test_error_percent"] for row in where(own, family=family, group=group)}
    found = {}
    for plain in COMPARED:
        pairs = [
            row["test_error_percent"] - base[row["seed"]] for row in where(own, network=plain) if row["seed"] in base
        ]
        if pairs:
            found[plain] = Spread.of(pairs)
    return found


def fronts(rows: Rows) -> "Figure":
    """Error against milliseconds per picture, and against training time; a line joins the Pareto front."""
    by_data = grouped(where(rows, table="rivals"), "data")
    height = 3.6 * len(by_data)
    figure = new_figure(11.5, height)
    for place, (data, own) in enumerate(by_data.items()):
        bottom = 1 - (place + 1) / len(by_data) + 0.55 / height
        for column, (cost, words) in enumerate(
            (("picture_ms", "ms for a picture, folded"), ("seconds", "training, s"))
        ):
            axes = figure.add_axes((0.055 + 0.5 * column, bottom, 0.43, 2.7 / height))
            _front(axes, own, cost)
            axes.set_xlabel(words)
            axes.set_title(f"{TITLES[data]}: test error", loc="left", fontsize=10)
    return figure


def _front(axes: "Axes", rows: Rows, cost: str) -> None:
    """Every network as a dot with its spread and its name."""
    dots = {
        name: (
            max(mean(own, cost), _LEAST),
            Spread.of(values(own, "test_error_percent")),
            str(own[0]["family"]) == "plain",
        )
        for name, own in grouped(rows, "network").items()
    }
    for x, error, plain in dots.values():
        color = _PLAIN if plain else _GROUP
        axes.errorbar(x, error.mean, error.deviation, fmt="s" if plain else "o", color=color, markersize=4.5, capsize=2)
    best, line = float("inf"), []
    for x, error, _ in sorted(dots.values(), key=lambda dot: (dot[0], dot[1].mean)):
        if error.mean < best:
            best = error.mean
            line.append((x, best))
    axes.plot(*zip(*line, strict=True), color="#b85c00", linewidth=1, zorder=1)
    axes.set_xscale("log")
    axes.set_yscale("log")
    _name_ticks(axes, [x for x, *_ in dots.values()])
    tidy_axes(axes, "both")
    _name_dots(axes, {name: (x, error, _PLAIN if plain else _GROUP) for name, (x, error, plain) in dots.items()})


def _name_dots(axes: "Axes", dots: Mapping[str, tuple[float, Spread, str]]) -> None:
    """Write names beside dots, inside, each where it covers least of the dots, their spreads and names before it."""
    taken, inside = [], axes.get_window_extent().extents
    for x, error, _ in dots.values():
        ends = [(x, error.mean + side * error.deviation) for side in (-1, 1)]
        (left, bottom), (right, top) = axes.transData.transform(ends)
        taken.append((left - 6, bottom - 6, right + 6, top + 6))
    for name, (x, error, color) in dots.items():
        label = axes.annotate(
            _short(name), (x, error.mean), xytext=(0, 0), textcoords="offset points", fontsize=6.5, color=color
        )
        costs = []
        for place in _PLACES:
            box = _put(label, place)
            costs.append(_shared(box, box) - _shared(box, inside) + sum(_shared(box, other) for other in taken))
        taken.append(_put(label, _PLACES[costs.index(min(costs))]))


def _put(label: "Annotation", place: tuple[int, int]) -> tuple[float, ...]:
    """Move a name to a place beside its dot; returns its box."""
    label.xyann = place
    label.set_horizontalalignment("left" if place[0] > 0 else "right")
    return tuple(label.get_window_extent().extents)


def _shared(one: Sequence[float], other: Sequence[float]) -> float:
    """The area that two boxes share, each left, bottom, right and top."""
    width, height = (min(one[k + 2], other[k + 2]) - max(one[k], other[k]) for k in (0, 1))
    return max(width, 0) * max(height, 0)


def _name_ticks(axes: "Axes", places: Sequence[float]) -> None:
    """Plain numbers in place of powers of ten."""
    ticker = import_plotting("matplotlib.ticker")
    low, high = axes.get_ylim()
    marks = [float(mark) for mark in _TICKS if low <= mark <= high]
    if len(marks) < 3:
        marks = [float(mark) for mark in ticker.MaxNLocator(4).tick_values(low, high) if low <= mark <= high]
    axes.set_yticks(marks)
    axes.yaxis.set_major_formatter(ticker.FuncFormatter(lambda value, _: f"{value:g} %"))
    axes.set_xlim(0.8 * min(places), 1.9 * max(places))
    axes.xaxis.set_major_locator(ticker.LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter(ticker.FuncFormatter(lambda value, _: f"{value:g}"))
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_minor_locator(ticker.NullLocator())


def _short(name: str) -> str:
    return name.replace("plain, equal parameters", "plain").replace("plain, ", "").replace("without the", "without")


def show_labels(_config: object, record: Record) -> Shown:
    """A table and a figure of curves for each data set."""
    shown = []
    for data, rows in grouped(record.rows, "data").items():
        shares = grouped(rows, "share")
        lines = [
            (name, *(mean_and_spread(values(where(own, share=share), "test_error_percent"), 1) for share in shares))
            for name, own in grouped(rows, "network").items()
        ]
        header = ("network", *(f"{share:.0%}" for share in shares))
        shown.append(
            table(f"{TITLES[data]}: test error in % by share of the labels", lines, *header, left=("network",))
        )
    return Shown(shown, [("labels", curves(record.rows))])


def curves(rows: Rows) -> "Figure":
    """Error against the number of labels, a line for each network with the spread of its seeds."""
    by_data = grouped(rows, "data")
    figure = new_figure(5.2 * len(by_data), 3.9)
    for place, (data, own) in enumerate(by_data.items()):
        axes = figure.add_axes(((place + 0.13) / len(by_data), 0.14, 0.83 / len(by_data), 0.76))
        kinds = grouped(own, "network")
        style = looks([str(rows[0]["family"]) for rows in kinds.values()])
        for name, one in kinds.items():
            look: Look = style[str(one[0]["family"])]
            draw_curve(axes, Curve(points=values_by(one, "labels", "test_error_percent"), look=look, name=name), "o")
        axes.set_xscale("log")
        axes.set_yscale("log")
        _name_ticks(axes, [float(row["labels"]) for row in own])
        axes.set_xlabel("labels")
        axes.set_title(f"{TITLES[data]}: test error", loc="left", fontsize=10)
        axes.legend(frameon=False, fontsize=8.5, handlelength=3)
        tidy_axes(axes, "both")
    return figure
