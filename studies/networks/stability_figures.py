"""Figures of the study of stability: errors around the full circle, and from layer to layer."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from orbitconv.figures.drawing import headroom, new_figure, tidy_axes
from orbitconv.records.grouping import mean_and_spread
from orbitconv.records.record import Record
from studies.base.command import Shown, table
from studies.base.summary import Rows, errors, grouped, layer_means, means, where
from studies.networks.bases import FAMILIES, LEARNED

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from rich.table import Table

_TITLES = {
    "none": "trained on upright images", "quarters": "trained with quarter turns",
    "eighths": "trained with eighth turns", "circle": "trained with any turn",
}  # fmt: skip
# Errors below this are those of the arithmetic; they are left out of the picture, and the legend says so.
_EXACT = 1e-4
# Inches for a name in the legend, and for a line of them.
_NAME, _LINE = 1.4, 0.17
# Colours of the learned families are strong and their lines wide; hand-made ones are thin.
_COLORS = {
    "plain": "#8a8f98", "exact": "#b85c00", "nearest": "#c9a227", "bilinear": "#00806a", "gaussian": "#5aa02c",
    "harmonic": "#a0306b", "learned": "#56b4e9", "average": "#0072b2", "fine-tuned": "#1d3f8f",
    "over-complete": "#7a68ae", "spectral": "#8a2d8f", "unitary": "#0057b8",
}  # fmt: skip


def show(_config: object, record: Record) -> Shown:
    """Errors at all angles and equivariance errors: of every family, and of the spectral network with one change."""
    whole = where(record.rows, ablation="none")
    spectral = [row for row in where(record.rows, group="c8", rotation="none") if "spectral" in str(row["family"])]
    tables = (_table("families", whole, "family"), _table("what was changed", spectral, "ablation"))
    drawn = (("stability_angles", error_by_angle(whole)), ("stability_layers", error_by_layer(whole)))
    return Shown(tables, drawn, ["Layers: mean equivariance error over the turns of a network's own group."])


def _table(title: str, rows: Rows, key: str) -> "Table":
    """One line for each kind of network."""
    lines = []
    for kind, own in grouped(rows, key, "group", "rotation").items():
        found, curve = errors(own), means(where(own, test="angle"), "degrees", "test_error_percent")
        lines.append((
            *map(str, kind), *(mean_and_spread(found[test], 2) for test in ("upright", "rotated")),
            f"{max(curve.values()):.1f}", *(f"{error:.3f}" for error in layer_means(own)),
        ))  # fmt: skip
    header = (key, "group", "turned", "upright, %", "random angles, %", "worst angle, %", "layers before", "after")
    return table(f"Stability: {title}", lines, *header, left=(key, "turned"))


def error_by_angle(rows: Rows) -> "Figure":
    """Test error against the angle of the test images, one panel with its own scale for each way of training."""
    shown = [row for row in rows if row["test"] == "angle"]
    rotations = [name for name in _TITLES if any(row["rotation"] == name for row in shown)]
    figure = new_figure(max(8.4, 3.6 * len(rotations) + 0.4), 4.1)  # the legend has its width too
    panels = figure.subplots(1, len(rotations), squeeze=False)[0]
    for axes, rotation in zip(panels, rotations, strict=True):
        own = [row for row in shown if row["rotation"] == rotation]
        for kind in _kinds(own):
            at = means(where(own, family=kind[0], group=kind[1]), "degrees", "test_error_percent")
            axes.plot([*at, 360], [*at.values(), next(iter(at.values()))], **_style(*kind))
        axes.set_title(_TITLES[rotation], loc="left", fontsize=10)
        tidy_axes(axes)
        axes.set_xticks(range(0, 361, 90), [f"{a}°" for a in range(0, 361, 90)])
        axes.set_ylim(0, headroom(axes))
        axes.yaxis.set_major_formatter("{x:g} %")
    _legend(figure, panels, below=0.4, between=0.6)
    return figure


def error_by_layer(rows: Rows) -> "Figure":
    """Normalised equivariance error of feature maps from layer to layer, before and after each way of training."""
    shown = [row for row in rows if row["test"] == "layer"]
    rotations = [name for name in _TITLES if any(row["rotation"] == name for row in shown)]
    parts = {"before training": [row for row in shown if row["when"] == "before"]}
    for rotation in rotations:
        title = "after training" if len(rotations) == 1 else _TITLES[rotation]
        parts[title] = [row for row in shown if (row["when"], row["rotation"]) == ("after", rotation)]
    figure = new_figure(max(9.4, 4 * len(parts)), 4.3)
    panels = figure.subplots(1, len(parts), sharey=True)
    lowest = min((r["equivariance_error"] for r in shown if r["equivariance_error"] >= _EXACT), default=_EXACT)
    for axes, (title, own) in zip(panels, parts.items(), strict=True):
        for kind in _kinds(own):
            at = means(where(own, family=kind[0], group=kind[1]), "layer", "equivariance_error")
            style = _style(*kind)
            if max(at.values()) < _EXACT:
                style["label"] += " (0 but for rounding)"
            axes.plot(list(at), list(at.values()), **style)
        axes.set_title(title, loc="left", fontsize=10)
        tidy_axes(axes)
        names = {row["layer"]: _short(str(row["kind"])) for row in own}
        axes.set_xticks(sorted(names), [names[place] for place in sorted(names)], rotation=90, fontsize=7)
        axes.set_yscale("log")
        axes.set_ylim(bottom=lowest / 2)
    panels[0].set_ylabel("equivariance error")
    _legend(figure, panels, below=0.95, between=0.2)
    return figure


def _kinds(rows: Rows) -> list[tuple[str, str]]:
    """Families and groups, in the order of all families."""
    found = dict.fromkeys((str(row["family"]), str(row["group"])) for row in rows)
    return sorted(found, key=lambda kind: ([*FAMILIES, kind[0]].index(kind[0]), kind[1]))


def _style(family: str, group: str) -> dict[str, Any]:
    dashes = {"c16": (0, (4, 1.5)), "d4": (0, (1, 1))}.get(group, "-")
    name = "plain" if family == "plain" else f"{family} {group.upper()}"
    return {
        "color": _COLORS.get(family, "#1f2328"), "linewidth": 2.0 if family in LEARNED else 1.1, "linestyle": dashes,
        "label": name,
    }  # fmt: skip


def _short(kind: str) -> str:
    words = {
        "LiftingConv2d": "lift", "GroupConv2d": "conv", "GroupBatchNorm2d": "norm", "ReLU": "relu",
        "GroupMaxPool2d": "pool", "GroupBlurPool2d": "blur", "GroupPool": "pool group", "Conv2d": "conv",
        "BatchNorm2d": "norm", "MaxPool2d": "pool", "BlurPool2d": "blur",
    }  # fmt: skip
    return words.get(kind, kind)


def _legend(figure: "Figure", panels: Sequence["Axes"], below: float, between: float) -> None:
    """One legend for all panels, `below` inches under them, where their own words end; `between` are between them."""
    width, height = figure.get_size_inches()
    columns = int(width / _NAME)
    names = {label: handle for axes in panels for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)}
    figure.legend(names.values(), names, loc="lower center", ncols=columns, frameon=False, fontsize=8)
    under = below + 0.12 + _LINE * -(-len(names) // columns)
    panel = (width - 0.95 - between * (len(panels) - 1)) / len(panels)
    figure.subplots_adjust(
        left=0.75 / width, right=1 - 0.2 / width, top=0.92, bottom=under / height, wspace=between / panel
    )
