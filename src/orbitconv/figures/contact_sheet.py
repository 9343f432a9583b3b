"""Contact sheets: rows of filters, a column for each group element, and what the colours of a filter mean."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float, UInt8

from orbitconv.figures.basis_figures import INK, QUIET, figure_of, new_canvas
from orbitconv.figures.drawing import import_plotting
from orbitconv.groups import Group

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Dots per inch, as in `figures.render`, and the frame of a picture.
_DOTS, _FRAME = 200, (208, 212, 217)


@dataclass(frozen=True)
class Row:
    """A row of a contact sheet: a label, which may have several lines, tiles or None, and norms to print below."""

    label: str
    tiles: Sequence[Float[np.ndarray, "h w"] | None]
    norms: Sequence[float | None] | None = None


def contact_sheet(title: str, rows: Sequence[Row], columns: Group | Sequence[str], *, note: str = "") -> "Figure":
    """Rows of small pictures on one common colour scale, a column for each name or group element."""
    split = columns.num_rotations if isinstance(columns, Group) else len(columns)
    columns = turns_of(columns) if isinstance(columns, Group) else columns
    side = min(0.78, max(0.36, 11 / len(columns) - 0.07))
    gap, below = 0.07, 0.17 if any(row.norms is not None for row in rows) else 0.0
    left = 0.35 + 0.075 * max(len(line) for row in rows for line in row.label.split("\n"))
    top = 0.74 if split == len(columns) else 0.98
    places = [left + c * (side + gap) + (0.22 if c >= split else 0.0) for c in range(len(columns))]
    pitch = side + gap + below
    width = max(places[-1] + side + 0.15, left + 0.09 * len(title), 0.3 + 0.07 * len(note))
    if split < len(columns):
        width = max(width, (places[split] + places[-1] + side) / 2 + 0.85)
    height = top + len(rows) * pitch + (0.32 if note else 0.08)
    axes = new_canvas(width, height)
    dots, edges = round(side * _DOTS), [round(x * _DOTS) for x in places]
    axes.text(0.15, 0.26, title, fontsize=12, color=INK, va="center", fontweight="bold")
    for words, first, stop in (("turned", 0, split), ("mirrored, then turned", split, len(columns))):
        if split < len(columns):
            middle = (places[first] + places[stop - 1] + side) / 2
            axes.text(middle, top - 0.4, words, fontsize=9, color=QUIET, ha="center", va="center")
    for x, words in zip(places, columns, strict=True):
        axes.text(
            x + side / 2, top - 0.14, words, fontsize=9 if side > 0.5 else 7.5, color=INK, ha="center", va="center"
        )
    limit = max([1e-12, *(float(np.abs(t).max()) for row in rows for t in row.tiles if t is not None)])
    for r, row in enumerate(rows):
        y = top + r * pitch
        strip = np.full((dots, edges[-1] - edges[0] + dots, 3), 255, dtype=np.uint8)
        axes.text(left - 0.12, y + side / 2, row.label, fontsize=9, color=INK, ha="right", va="center", linespacing=1.3)
        for c, (x, tile) in enumerate(zip(places, row.tiles, strict=True)):
            if tile is None:
                continue
            _place(strip, tile / limit, edges[c] - edges[0], dots)
            norm = None if row.norms is None else row.norms[c]
            if norm is not None:
                size = 7.5 if side > 0.5 else 6
                axes.text(
                    x + side / 2, y + side + 0.085, f"{norm:.2f}", fontsize=size, color=QUIET, ha="center", va="center"
                )
        # One picture for a row: one for each tile would take a minute to draw.
        extent = (places[0], places[0] + strip.shape[1] / _DOTS, y + dots / _DOTS, y)
        axes.imshow(strip, extent=extent, aspect="auto", interpolation="none", zorder=0)
    if note:
        axes.text(0.15, height - 0.17, note, fontsize=9, color=QUIET, va="center")
    return figure_of(axes)


def turns_of(group: Group) -> list[str]:
    """The rotation of each element, in words."""
    return [f"{round(math.degrees(angle), 1):g}°" for angle in group.angles]


def _place(strip: UInt8[np.ndarray, "h w 3"], tile: Float[np.ndarray, "h w"], x: int, side: int) -> None:
    """Put a filter with values from -1 to 1 into a strip of pictures, in a frame that begins at x; all in dots."""
    height, width = (side * n // max(tile.shape) for n in tile.shape)
    rows, cols = (np.arange(n) * pixels // n for n, pixels in zip((height, width), tile.shape, strict=True))
    shown = colors(tile)[rows][:, cols]
    shown[[0, -1]] = shown[:, [0, -1]] = _FRAME
    top, left = (side - height) // 2, x + (side - width) // 2
    strip[top : top + height, left : left + width] = shown


def colors(values: Float[np.ndarray, "h w"]) -> UInt8[np.ndarray, "h w 3"]:
    """Values of a filter, from -1 (blue) over 0 (white) to 1 (red), as bytes of red, green and blue."""
    return import_plotting("matplotlib").colormaps["RdBu_r"]((values + 1) / 2, bytes=True)[..., :3].copy()
