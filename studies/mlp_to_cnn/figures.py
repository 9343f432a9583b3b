"""The results of the study `mlp_to_cnn` as bars and curves, from the rows of its record."""

import statistics
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from orbitconv.figures.basis_figures import INK
from orbitconv.figures.drawing import Look, import_plotting, new_figure, tidy_axes
from orbitconv.records.grouping import mean_and_spread
from orbitconv.records.record import Record, Row
from studies.base.arrays import read_arrays
from studies.base.command import Shown, table
from studies.base.summary import Rows, grouped, means, values, where
from studies.mlp_to_cnn.pictures import filters_and_orbit, translation_matrices
from studies.mlp_to_cnn.study import MlpToCnn

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from rich.table import Table

_LOOKS = {
    "mlp": Look("#b85c00", (0, (5, 2)), 2.0),
    "learned": Look("#0057b8", "-", 2.6),
    "cnn": Look("#5f6368", (0, (1, 1.3)), 2.0),
}
_NAMES = {"mlp": "MLP", "learned": "learned translations", "cnn": "CNN"}
_TESTS = {
    "plain": "plain pixels",
    "permuted": "pixels in one\nrandom order",
    "zero-filled": "random order, from\nshifts with zero fill",
}
_LEARNERS = {"any map": "any map that keeps norms", "features move": "pixels move onto pixels"}
_FILLS = {"permuted": "cyclic", "zero-filled": "zero fill"}
_LESSON_LOOKS = {
    ("any map", "permuted"): Look("#8a2d8f", "-", 1.8),
    ("any map", "zero-filled"): Look("#8a2d8f", (0, (2, 1.5)), 1.8),
    ("features move", "permuted"): Look("#0057b8", "-", 2.4),
    ("features move", "zero-filled"): Look("#0057b8", (0, (2, 1.5)), 2.4),
}


def show(config: MlpToCnn, record: Record) -> Shown:
    """One table per part of the study, and the figures of the finished parts."""
    parts = {
        "main": ("MNIST, test error in %", ("test", "family")),
        "pairs": ("Learned from few pairs, pixels in random order", ("family", "test", "learner", "pairs")),
        "labels": ("Trained on few labels", ("labels", "family", "test")),
    }
    tables = [
        _table(title, where(record.rows, part=part), keys)
        for part, (title, keys) in parts.items()
        if where(record.rows, part=part)
    ]
    return Shown(tables, _draw(config.out, record.rows))


def _table(title: str, rows: Rows, keys: tuple[str, ...]) -> "Table":
    """Means over seeds; distances of the learned action where there is one."""
    lines = []
    for key, own in grouped(rows, *keys).items():
        count = own[0]["parameters"]
        lines.append((
            *(f"{value:,}" if isinstance(value, int) else str(value or "-") for value in key),
            mean_and_spread(values(own, "test_error_percent"), 2), "-" if count is None else f"{count:,}",
            mean_and_spread(values(own, "seconds"), 0),
            *(_brief(own[0].get(column)) for column in ("distance_learned", "distance_closed")),
        ))  # fmt: skip
    header = (*keys, "test error", "parameters", "seconds", "distance, learned", "distance, closed")
    return table(title, lines, *header, left={"family", "test", "learner"})


def _brief(value: float | None) -> str:
    return "-" if value is None else f"{value:.2g}"


def _draw(folder: Path, rows: list[Row]) -> "Iterator[tuple[str, Figure]]":
    parts = {row["part"] for row in rows}
    if "main" in parts:
        yield "mlp_to_cnn_errors", error_bars(rows)
    if "main" in parts and (folder / "filters-permuted.npz").exists():
        (filters,) = read_arrays(folder / "filters-permuted.npz", "filters")
        orders, right = {}, {}
        for test in ("plain", "permuted"):
            orders[test], learned, closed = read_arrays(
                folder / f"translations-{test}.npz", "order", "learned", "closed"
            )
            right[test] = learned[1]
        yield "mlp_to_cnn_filters", filters_and_orbit(filters, closed, orders["permuted"])
        yield "mlp_to_cnn_translation", translation_matrices(right, orders)
    if parts & {"pairs", "labels"}:
        yield "mlp_to_cnn_curves", learning_curves(rows)


def error_bars(rows: Sequence[Mapping[str, Any]]) -> "Figure":
    """Test error of every family and pixel order: a bar for the mean, a whisker for the spread, a dot for each seed."""
    shown = [row for row in rows if row["part"] == "main"]
    tests = [test for test in _TESTS if any(row["test"] == test for row in shown)]
    figure = new_figure(7.4, 4.2)
    axes = figure.add_axes((0.075, 0.15, 0.91, 0.7))
    for t, test in enumerate(tests):
        families = [f for f in _NAMES if any((row["test"], row["family"]) == (test, f) for row in shown)]
        for f, family in enumerate(families):
            errors = [row["test_error_percent"] for row in shown if (row["test"], row["family"]) == (test, family)]
            _bar(axes, t + 0.27 * (f - (len(families) - 1) / 2), errors, _LOOKS[family].color)
    for family, name in _NAMES.items():
        axes.bar(0, 0, color=_LOOKS[family].color, alpha=0.35, label=name)
    axes.set_xticks(range(len(tests)), [_TESTS[test] for test in tests], fontsize=10)
    axes.set_title("test error on MNIST", loc="left", fontsize=10, color=INK)
    axes.yaxis.set_major_formatter("{x:g} %")
    axes.set_xlim(-0.5, len(tests) - 0.55)
    axes.set_ylim(bottom=0)
    axes.margins(y=0.1)
    axes.legend(loc="lower right", bbox_to_anchor=(1.01, 1.0), ncols=3, frameon=False, fontsize=9.5)
    tidy_axes(axes)
    return figure


def _bar(axes: "Axes", x: float, errors: list[float], color: str) -> None:
    """One bar, with its number above the highest dot."""
    mean = statistics.fmean(errors)
    spread = statistics.stdev(errors) if len(errors) > 1 else 0.0
    axes.bar(x, mean, 0.24, color=color, alpha=0.35)
    if spread:
        axes.errorbar(x, mean, spread, color=color, capsize=4, linewidth=1.4)
    axes.plot([x + 0.06] * len(errors), errors, ".", color=color, markersize=7, alpha=0.9)
    axes.annotate(f"{mean:.2f}", (x, max(*errors, mean + spread)), (0, 6), textcoords="offset points", ha="center",
                  fontsize=9.5, color=INK)  # fmt: skip


def learning_curves(rows: Sequence[Mapping[str, Any]]) -> "Figure":
    """How far the learned action is from the truth, and the error of networks, against pairs; and against labels."""
    figure = new_figure(11.4, 4.5)
    boxes = [figure.add_axes((left, 0.12, 0.26, 0.6)) for left in (0.045, 0.385, 0.725)]
    pairs = [row for row in rows if row["part"] == "pairs"]
    labels = [row for row in rows if row["part"] == "labels"]
    if pairs:
        _draw_pairs(boxes[0], [row for row in pairs if row["family"] == "learned"], "distance_learned")
        _draw_pairs(boxes[1], [row for row in pairs if row["family"] == "learned"], "test_error_percent")
        _draw_levels(boxes[1], [row for row in pairs if row["family"] != "learned"])
    if labels:
        _draw_labels(boxes[2], [*labels, *(row for row in rows if row["part"] == "main")])
    for axes, shown in zip(boxes, (pairs, pairs, labels), strict=True):
        axes.set_visible(bool(shown))
    trained = ", ".join(f"{labels:,} labels" for labels in sorted({row["labels"] for row in pairs}))
    titles = (
        "distance of the learned action\nfrom the true shift",
        f"test error in random order, {trained}\n(x: too few pairs for a group)",
        "test error\n",
    )
    for axes, title, words in zip(boxes, titles, ("pairs", "pairs", "labelled digits"), strict=True):
        axes.set_title(title, loc="left", fontsize=10, color=INK, pad=12)
        axes.set_xlabel(words, color=INK)
        axes.set_xscale("log")
        tidy_axes(axes, "both")
        _plain_numbers(axes)
    if pairs:
        _legend(figure, boxes[0], 0.035, "upper left")
    if labels:
        _legend(figure, boxes[2], 0.998, "upper right")
    return figure


def _legend(figure: "Figure", axes: "Axes", x: float, corner: Literal["upper left", "upper right"]) -> None:
    """Names of the lines of one panel, at the top of the figure."""
    figure.legend(
        *axes.get_legend_handles_labels(), loc=corner, bbox_to_anchor=(x, 0.985), ncols=2, frameon=False, fontsize=9,
        handlelength=3, columnspacing=1.5, borderaxespad=0.2,
    )  # fmt: skip


def _plain_numbers(axes: "Axes") -> None:
    """Powers of ten along the bottom, written out."""
    ticker = import_plotting("matplotlib.ticker")
    axes.xaxis.set_major_locator(ticker.LogLocator())
    axes.xaxis.set_major_formatter(ticker.FuncFormatter(lambda x, _: f"{x:,.0f}"))
    axes.xaxis.set_minor_locator(ticker.NullLocator())


def _draw_pairs(axes: "Axes", rows: Sequence[Mapping[str, Any]], column: str) -> None:
    """One line for each way to learn and kind of shift; crosses where the pairs determine no group."""
    for (learner, test), look in _LESSON_LOOKS.items():
        own = [row for row in rows if (row["learner"], row["test"]) == (learner, test)]
        at = means(own, "pairs", column)
        name = f"{_LEARNERS[learner]}, {_FILLS[test]}"
        axes.plot(list(at), list(at.values()), "o", color=look.color, linestyle=look.dashes, linewidth=look.width,
                  markersize=4.5, label=name)  # fmt: skip
        open_at = sorted({row["pairs"] for row in own if row[column] is None})
        axes.plot(open_at, [1.02] * len(open_at), "x", color=look.color, markersize=6, clip_on=False,
                  transform=axes.get_xaxis_transform())  # fmt: skip
    axes.set_ylim(bottom=0)
    if column == "test_error_percent":
        axes.yaxis.set_major_formatter("{x:g} %")
    else:
        axes.set_ylim(-0.03, 1.05)
    counts = [row["pairs"] for row in rows] or [1]
    axes.set_xlim(min(counts) / 1.4, max(counts) * 1.4)


def _draw_levels(axes: "Axes", rows: Sequence[Mapping[str, Any]]) -> None:
    """A horizontal line with a name for each family that does not learn from pairs."""
    for family in dict.fromkeys(str(row["family"]) for row in rows):
        look = _LOOKS[family]
        level = statistics.fmean(row["test_error_percent"] for row in rows if row["family"] == family)
        axes.axhline(level, color=look.color, linestyle=look.dashes, linewidth=1.5)
        axes.set_ylim(top=max(axes.get_ylim()[1], 1.1 * level))
        axes.annotate(_NAMES[family], (1, level), (0, 3), xycoords=("axes fraction", "data"), ha="right",
                      textcoords="offset points", fontsize=9, color=look.color)  # fmt: skip


def _draw_labels(axes: "Axes", rows: Sequence[Mapping[str, Any]]) -> None:
    """One line for each family on plain pixels, and one for the learned translations in random order."""
    for family, test in (*((family, "plain") for family in _NAMES), ("learned", "permuted")):
        at = means([r for r in rows if (r["family"], r["test"]) == (family, test)], "labels", "test_error_percent")
        look = _LOOKS[family]
        dashes, color = ((0, (4, 1, 1, 1)), "#00806a") if test == "permuted" else (look.dashes, look.color)
        name = _NAMES[family] if test == "plain" else "learned, random order"
        axes.plot(list(at), list(at.values()), "o", color=color, linestyle=dashes, linewidth=look.width, markersize=4.5,
                  label=name)  # fmt: skip
    ticker = import_plotting("matplotlib.ticker")
    axes.set_yscale("log")
    axes.yaxis.set_major_locator(ticker.LogLocator(subs=(1.0, 2.0, 5.0)))
    axes.yaxis.set_major_formatter(ticker.FuncFormatter(lambda y, _: f"{y:g} %"))
    axes.yaxis.set_minor_locator(ticker.NullLocator())
