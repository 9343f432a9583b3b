"""The figures of a report, drawn with matplotlib from numbers and arrays alone; no global state is touched."""

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from jaxtyping import Float

from orbitconv._support.files import write_atomically
from orbitconv._support.optional import import_optional
from orbitconv.records.grouping import Spread

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LEARNED = ("unitary", "spectral", "learned")
"""Families whose bases are fitted to images."""

QUARTERS = range(0, 361, 90)
_INK, _FAINT = "#1f2328", "#d0d4d9"


@dataclass(frozen=True)
class Look:
    """How a family is drawn: a colour safe for the colour-blind, and a line style that survives grey printing.

    Dashes are as matplotlib takes them, the width is in points.
    """

    color: str
    dashes: Any = "-"
    width: float = 1.7


_LOOKS = {
    "plain": Look("#5f6368", (0, (1, 1.3))),
    "exact": Look("#b85c00", (0, (6, 1.5, 1, 1.5))),
    "bilinear": Look("#00806a", (0, (5, 2))),
    "unitary": Look("#0057b8", "-", 2.6),
    "spectral": Look("#8a2d8f", (0, (9, 2)), 2.6),
}
_OTHERS = (Look("#a0306b", (0, (3, 1, 1, 1, 1, 1))), Look("#7a1f1f", (0, (8, 3))), Look("#3d4a00", (0, (2, 3))))


def family_name(family: str, group: str) -> str:
    """What a reader calls a network: plain CNN, exact C4, learned C8 (unitary)."""
    if family == "plain":
        return "plain CNN"
    return f"learned {group.upper()} ({family})" if family in LEARNED[:2] else f"{family} {group.upper()}"


def looks(families: Sequence[str]) -> dict[str, Look]:
    """How to draw each of some families; those without a look of their own share three more."""
    strangers = [family for family in families if family not in _LOOKS]
    return {f: _LOOKS.get(f) or _OTHERS[strangers.index(f) % len(_OTHERS)] for f in families}


def import_plotting(module: str) -> ModuleType:
    """Import matplotlib or Pillow on first use."""
    return import_optional(module, "train" if module.startswith("PIL") else "plot", "A figure")


def check_libraries() -> None:
    """Check before the work that pictures can be drawn; the error says which extra brings what is missing."""
    import_plotting("matplotlib")
    import_plotting("PIL.Image")


def render(figure: "Figure", file_format: str) -> bytes:
    """A figure as the bytes of a file, the same for the same figure."""
    metadata = {"Date": None, "Creator": None} if file_format == "svg" else {"Software": None}
    buffer = io.BytesIO()
    with import_plotting("matplotlib").rc_context({"svg.hashsalt": "orbitconv"}):
        figure.savefig(buffer, format=file_format, dpi=200, metadata=metadata)
    return buffer.getvalue()


def write_figure(figure: "Figure", folder: Path, name: str) -> None:
    """Write a figure as PNG and as SVG, each in one step."""
    for file_format in ("png", "svg"):
        write_atomically(folder / f"{name}.{file_format}", render(figure, file_format))


def new_figure(width: float, height: float) -> "Figure":
    """An empty white figure."""
    figure = import_plotting("matplotlib.figure").Figure(figsize=(width, height), facecolor="white")
    import_plotting("matplotlib.backends.backend_agg").FigureCanvasAgg(figure)
    return figure


@dataclass(frozen=True, kw_only=True)
class Curve:
    """A line of means over the values of all seeds at each place, with their standard deviation as a band if asked for.

    Without a name it is not in the legend; `over` lays it above the others.
    """

    points: Mapping[float, Sequence[float]]
    look: Look
    name: str = ""
    over: bool = False
    band: bool = True


def angle_figure(curves: Sequence[Curve], images: str = "digits") -> "Figure":
    """Test errors in percent against the angle of the test images in degrees, around the full circle."""
    figure = new_figure(8.6, 4.5)
    axes = figure.add_axes((0.06, 0.115, 0.915, 0.75 if any(curve.name for curve in curves) else 0.815))
    for quarter in QUARTERS:
        axes.axvline(quarter, color=_FAINT, linewidth=1, zorder=0)
    for curve in curves:
        closed = {360.0: curve.points[0]} if 0 in curve.points else {}
        draw_curve(axes, replace(curve, points={**curve.points, **closed}))
    axes.set_xlim(0, 360)
    axes.set_xticks(range(0, 361, 45), [f"{degrees}°" for degrees in range(0, 361, 45)])
    axes.set_ylim(0, headroom(axes))
    axes.yaxis.set_major_locator(import_plotting("matplotlib.ticker").MaxNLocator(6, integer=True))
    axes.yaxis.set_major_formatter("{x:.0f} %")
    axes.set_xlabel(f"turn of the test {images}, counter-clockwise", color=_INK)
    axes.set_title("test error", loc="left", fontsize=10, color=_INK, x=-0.045)
    tidy_axes(axes)
    if axes.get_legend_handles_labels()[0]:
        axes.legend(
            loc="lower right", bbox_to_anchor=(1.01, 0.995), ncols=3, frameon=False, fontsize=10, handlelength=3.2,
            columnspacing=1.8, borderaxespad=0.2,
        )  # fmt: skip
    return figure


def draw_curve(axes: "Axes", curve: Curve, marker: str = "") -> None:
    """Draw one line with its band."""
    places, look = list(curve.points), curve.look
    found = [Spread.of(values) for values in curve.points.values()]
    means, spreads = (np.array(values) for values in ([one.mean for one in found], [one.deviation for one in found]))
    if curve.band and spreads.any():
        axes.fill_between(places, means - spreads, means + spreads, color=look.color, alpha=0.13, linewidth=0)
    axes.plot(
        places, means, color=look.color, linestyle=look.dashes, linewidth=look.width, label=curve.name, marker=marker,
        markersize=4, zorder=4 if curve.over else 3,
    )  # fmt: skip


def headroom(axes: "Axes") -> float:
    """The top of an axis from zero that leaves room above the highest line, which may be level."""
    return 1.06 * axes.dataLim.ymax or 1.0


def tidy_axes(axes: "Axes", grid: Literal["x", "y", "both"] = "y") -> None:
    """Give axes thin lines in place of a frame."""
    axes.grid(visible=True, axis=grid, color=_FAINT, linewidth=0.5, alpha=0.6)
    axes.set_axisbelow(True)
    axes.tick_params(which="both", length=0, colors=_INK, pad=6)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set_color(_FAINT)


@dataclass(frozen=True)
class Strip:
    """A row of small pictures, one for each angle; the colour is that of `limit`, and zero is white.

    The name may have two lines; numbers are printed below.
    """

    name: str
    pictures: Float[np.ndarray, "t h w"]
    color: str
    limit: float
    numbers: Sequence[float] | None = None


def film(strips: Sequence[Strip], degrees: Sequence[float | int]) -> "Figure":
    """Rows of small pictures under their angles."""
    left, side, gap, top = 1.5, 0.86, 0.06, 0.3
    heights = [side + (0.3 if strip.numbers is not None else 0.1) for strip in strips]
    figure = new_figure(left + len(degrees) * (side + gap), top + sum(heights))
    shades = import_plotting("matplotlib.colors").LinearSegmentedColormap
    y = top
    for strip, height in zip(strips, heights, strict=True):
        words_at(figure, left - 0.12, y + side / 2, strip.name, ha="right")
        for t in range(len(degrees)):
            axes = tile(figure, left + t * (side + gap), y, side)
            colors = shades.from_list("strip", ["white", strip.color])
            axes.imshow(strip.pictures[t], cmap=colors, vmin=0, vmax=strip.limit, interpolation="nearest")
            if strip.numbers is not None:
                words_at(figure, left + t * (side + gap) + side / 2, y + side + 0.1, f"{strip.numbers[t]:.2f}")
        y += height
    for t, angle in enumerate(degrees):
        words_at(figure, left + t * (side + gap) + side / 2, 0.14, f"{angle:g}°")
    return figure


def tile(figure: "Figure", x: float, y: float, side: float) -> "Axes":
    """Add a square frame for a small picture."""
    width, height = figure.get_size_inches()
    axes = figure.add_axes((x / width, 1 - (y + side) / height, side / width, side / height))
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set(color=_FAINT, linewidth=0.6)
    return axes


def words_at(figure: "Figure", x: float, y: float, words: str, ha: str = "center", va: str = "center") -> None:
    """Write text."""
    width, height = figure.get_size_inches()
    figure.text(x / width, 1 - y / height, words, ha=ha, va=va, fontsize=9, color=_INK, linespacing=1.25)
