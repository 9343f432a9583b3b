"""Figures of a benchmark record."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from orbitconv.figures.basis_figures import FAINT, INK
from orbitconv.figures.drawing import Look, import_plotting, new_figure, tidy_axes
from studies.speed.tables import describe, title

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_LOOKS = {
    "orbitconv": ("o", Look("#0057b8", "-", 2.4)),
    "folded": ("D", Look("#8a2d8f", (0, (9, 2)))),
    "dense": ("h", Look("#6b7785", (0, (3, 1.5)))),
    "fourier": ("v", Look("#a3195b", (0, (6, 1.5, 1, 1.5)))),
    "separable": ("P", Look("#4a6b00", (0, (3, 1)))),
    "escnn": ("^", Look("#b85c00", (0, (5, 2)))),
    "e2cnn": ("s", Look("#00806a", (0, (1, 1.3)))),
    "copy": ("x", Look("#5f6368", (0, (1, 1.3)))),
}
_OTHER = ("h", Look("#7a1f1f", (0, (8, 3))))
_AXES = {"batch": "batch", "width": "channels of the plain convolution", "order": "order of the group",
         "size": "side of the feature maps, pixels"}  # fmt: skip
_COLUMNS = {"batch": "batch", "width": "channels", "order": "channels", "size": "size"}


def ratios_figure(record: Mapping[str, Any]) -> "Figure":
    """Ratios of every case to its reference: one panel for each task, one line for each case."""
    judged = {goal["case"] for goal in record["goals"]}
    shown = {case for cases in record["curves"].values() for case in cases}
    shown |= {row["case"] for row in record["rows"] if row["subject"] in {"dense", "fourier"}}
    rows = [row for row in record["rows"] if row["subject"] != row["reference"]]
    rows = [row for row in rows if row["case"] not in shown - judged] or rows
    kinds = dict.fromkeys((row["task"], row["reference"]) for row in rows)
    panels = {kind: [row for row in rows if (row["task"], row["reference"]) == kind] for kind in kinds}
    lines = [len({r["case"] for r in own}) for own in panels.values()]
    step, gap, top, bottom = 0.25, 0.72, 0.62, -0.2
    height = top + bottom + step * sum(lines) + gap * len(lines)
    figure, y = new_figure(8.6, height), height - top
    for (kind, own), count in zip(panels.items(), lines, strict=True):
        y -= step * count
        axes = figure.add_axes((0.33, (y - 0.1) / height, 0.64, step * count / height))
        _draw_cases(axes, own, record["goals"])
        axes.set_title(title(*kind), loc="left", fontsize=10, color=INK, pad=5)
        y -= gap
    _legend(figure, [row["subject"] for row in rows], 1 - 0.08 / height)
    return figure


def _draw_cases(axes: "Axes", rows: Sequence[Mapping[str, Any]], goals: Sequence[Mapping[str, Any]]) -> None:
    """A line for each case, from the top."""
    cases = {row["case"]: describe(row) or "new process" for row in rows}
    places = {case: -i for i, case in enumerate(cases)}
    subjects = list(dict.fromkeys(row["subject"] for row in rows))
    for row in rows:
        marker, look = _LOOKS.get(row["subject"], _OTHER)
        shift = 0.14 * (len(subjects) - 1) / 2 - 0.14 * subjects.index(row["subject"])
        around = [[row["ratio"] - row["ratio_low"]], [row["ratio_high"] - row["ratio"]]]
        axes.errorbar(
            row["ratio"], places[row["case"]] + shift, xerr=around, fmt=marker, color=look.color, markersize=5,
            linewidth=1.3, zorder=4 if row["subject"] == "orbitconv" else 3,
        )  # fmt: skip
    references = {row["case"]: row["reference"] for row in rows}
    for goal in goals:
        if goal["case"] in places and goal["to"] == references[goal["case"]]:
            place = places[goal["case"]]
            axes.plot([goal["most"]] * 2, [place - 0.42, place + 0.42], color=INK, linewidth=1.4, zorder=2)
    axes.axvline(1, color=FAINT, linewidth=1, zorder=0)
    axes.set_ylim(-len(cases) + 0.4, 0.6)
    axes.set_yticks(list(places.values()), list(cases.values()), fontsize=8.5)
    tidy_axes(axes, "x")
    _ratio_axis(axes, "x", [row[end] for row in rows for end in ("ratio_low", "ratio_high")])


def scaling_figure(record: Mapping[str, Any]) -> "Figure | None":
    """The ratio of a training step to `nn.Conv2d` as the work grows: one panel for each size that grows."""
    curves = record["curves"]
    if not curves:
        return None
    figure = new_figure(0.6 + 2.9 * max(len(curves), 2), 3.5)
    panels = figure.subplots(1, len(curves), squeeze=False, sharey=True)[0]
    drawn, ends = [], []
    for axes, (axis, cases) in zip(panels, curves.items(), strict=True):
        others = [row for row in record["rows"] if row["case"] in cases and row["subject"] != row["reference"]]
        rows = [row for row in others if row["subject"] not in {"dense", "fourier"}]  # at two points only
        for subject in dict.fromkeys(row["subject"] for row in rows):
            own = [row for row in rows if row["subject"] == subject]
            places = [row["channels"] // row["fields"] if axis == "order" else row[_COLUMNS[axis]] for row in own]
            order = sorted(range(len(own)), key=places.__getitem__)
            marker, look = _LOOKS.get(subject, _OTHER)
            x, own = [places[i] for i in order], [own[i] for i in order]
            low, high = [row["ratio_low"] for row in own], [row["ratio_high"] for row in own]
            axes.fill_between(x, low, high, color=look.color, alpha=0.13, linewidth=0)
            axes.plot(x, [row["ratio"] for row in own], color=look.color, linestyle=look.dashes,
                      linewidth=look.width, marker=marker, markersize=4)  # fmt: skip
            drawn.append(subject)
            ends += low + high
        axes.axhline(1, color=FAINT, linewidth=1, zorder=0)
        tidy_axes(axes)
        axes.set_xscale("log", base=2)
        ticks = sorted({row["channels"] // row["fields"] if axis == "order" else row[_COLUMNS[axis]] for row in rows})
        axes.tick_params(labelsize=8.5)
        axes.set_xticks(ticks, [str(tick) for tick in ticks])
        axes.minorticks_off()
        axes.set_xlabel(_AXES[axis], color=INK, fontsize=9)
    _ratio_axis(panels[0], "y", ends)
    panels[0].set_title(title("training", "conv2d"), loc="left", fontsize=10, color=INK)
    _legend(figure, drawn, 0.985)
    figure.subplots_adjust(left=0.55 / figure.get_figwidth(), right=0.985, top=0.8, bottom=0.16, wspace=0.1)
    return figure


def _ratio_axis(axes: "Axes", which: str, values: Sequence[float]) -> None:
    """A logarithmic axis with round ratios, including 1."""
    low, high = min(0.8, *values) * 0.9, max(1.25, *values) * 1.1
    steps = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500)
    if high / low < 4:
        steps = (0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1, 1.1, 1.2, 1.3, 1.4, 1.6, 1.8, 2, 2.5, 3, 4)
    ticks = [step for step in steps if low <= step <= high]
    getattr(axes, f"set_{which}scale")("log")
    getattr(axes, f"set_{which}lim")(low, high)
    getattr(axes, f"set_{which}ticks")(ticks, [f"{tick:g}" for tick in ticks])
    axes.minorticks_off()
    axes.tick_params(labelsize=8.5)


def _legend(figure: "Figure", subjects: Sequence[str], top: float) -> None:
    """Markers of all subjects, above the panels."""
    line = import_plotting("matplotlib.lines").Line2D
    handles = []
    for subject in sorted(dict.fromkeys(subjects), key=[*_LOOKS, *subjects].index):
        marker, look = _LOOKS.get(subject, _OTHER)
        handles.append(
            line([], [], color=look.color, marker=marker, markersize=5, linestyle=look.dashes, label=subject)
        )
    figure.legend(handles=handles, loc="upper left", bbox_to_anchor=(0.01, top), ncols=6, frameon=False, fontsize=9)
