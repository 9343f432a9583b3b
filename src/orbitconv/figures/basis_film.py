"""The moving picture: one random filter, turning in every family side by side."""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from jaxtyping import Float

from orbitconv.figures.basis_figures import INK, QUIET, columns_for
from orbitconv.figures.contact_sheet import colors
from orbitconv.figures.drawing import import_plotting

if TYPE_CHECKING:
    from PIL.Image import Image
    from PIL.ImageDraw import ImageDraw

MILLISECONDS = 300
"""How long a frame stays."""

# Side of a picture in pixels, and what lies around it.
_SIDE, _GAP, _TOP, _NAME, _BELOW = 210, 20, 52, 30, 52


@dataclass(frozen=True)
class Actor:
    """One picture that moves.

    Args:
        name: Words above it.
        color: Colour of its name and of the bar that shows its norm.
        frames: The picture at each moment; None stands still, faded, where there is no such turn.
        norms: Norm of the filter at each moment, if it is one.
    """

    name: str
    color: str
    frames: Sequence[Float[np.ndarray, "h w"] | None]
    norms: Sequence[float | None] | None = None


def film(actors: Sequence[Actor], moments: Sequence[str], file_format: Literal["webp", "gif"]) -> bytes:
    """An endless animation on one common colour scale."""
    limit = max([1e-12, *(float(np.abs(f).max()) for actor in actors for f in actor.frames if f is not None)])
    pictures = [_frame(actors, t, words, limit) for t, words in enumerate(moments)]
    options = {"lossless": True, "method": 4}
    if file_format == "gif":
        pictures, options = _with_one_palette(pictures), {"optimize": False}
    buffer = io.BytesIO()
    pictures[0].save(
        buffer, format=file_format.upper(), save_all=True, append_images=pictures[1:], duration=MILLISECONDS, loop=0,
        **options,
    )  # fmt: skip
    return buffer.getvalue()


def _frame(actors: Sequence[Actor], t: int, words: str, limit: float) -> "Image":
    """All pictures at one moment."""
    image, draw_on, fonts = (import_plotting(f"PIL.{module}") for module in ("Image", "ImageDraw", "ImageFont"))
    columns = columns_for(len(actors))
    rows = -(-len(actors) // columns)
    height = _NAME + _SIDE + _BELOW
    frame = image.new("RGB", (_GAP + columns * (_SIDE + _GAP), _TOP + rows * height + _GAP // 2), "white")
    draw = draw_on.Draw(frame)
    draw.text((frame.width / 2, _TOP / 2), words, fill=INK, font=fonts.load_default(22), anchor="mm")
    for index, actor in enumerate(actors):
        row, column = divmod(index, columns)
        x, y = _GAP + column * (_SIDE + _GAP), _TOP + row * height + _NAME
        font = fonts.load_default(18)
        draw.text((x + _SIDE / 2, y - _NAME / 2), actor.name, fill=actor.color, font=font, anchor="mm")
        still = max(s for s in range(t + 1) if s == 0 or actor.frames[s] is not None)
        values, faded = actor.frames[still], still != t
        if values is not None:
            frame.paste(_tile(values / limit, fade=0.75 if faded else 0.0), (x, y))
        draw.rectangle((x, y, x + _SIDE - 1, y + _SIDE - 1), outline="#d0d4d9")
        norm = None if actor.norms is None else actor.norms[t]
        _norm(draw, actor, norm, x, y + _SIDE + 8, "no such turn" if faded else "")
    return frame


def _with_one_palette(pictures: Sequence["Image"]) -> list["Image"]:
    """Pictures of 256 colours, the same for all, so that nothing flickers; white stays white."""
    image = import_plotting("PIL.Image")
    long = image.new("RGB", (pictures[0].width, pictures[0].height * len(pictures)))
    for t, picture in enumerate(pictures):
        long.paste(picture, (0, t * picture.height))
    palette = long.quantize(256, dither=image.Dither.NONE)
    entries = np.array(palette.getpalette(), dtype=np.uint8).reshape(-1, 3)
    entries[entries.min(1) >= 250] = 255
    palette.putpalette(entries.ravel().tolist())
    return [picture.quantize(palette=palette, dither=image.Dither.NONE) for picture in pictures]


def _norm(draw: "ImageDraw", actor: Actor, norm: float | None, x: int, y: int, otherwise: str) -> None:
    """A norm as words and as a bar that is as long as the picture is wide for norm one."""
    font = import_plotting("PIL.ImageFont").load_default(14)
    words = otherwise if norm is None else f"norm {norm:.2f}"
    draw.text((x + _SIDE / 2, y + 17), words, fill=QUIET, font=font, anchor="mm")
    if actor.norms is not None:
        draw.rectangle((x, y, x + _SIDE - 1, y + 4), fill="#eceef0")
    if norm is not None and norm > 0:
        draw.rectangle((x, y, x + round(min(norm, 1.0) * (_SIDE - 1)), y + 4), fill=actor.color)


def _tile(values: Float[np.ndarray, "h w"], fade: float) -> "Image":
    """Values from -1 to 1 as a picture whose pixels are squares, faded towards white."""
    image = import_plotting("PIL.Image")
    side = max(values.shape)
    square = np.zeros((side, side))
    top, left = ((side - n) // 2 for n in values.shape)
    square[top : top + values.shape[0], left : left + values.shape[1]] = values
    full = colors(square)
    shown = np.rint(full + fade * (255.0 - full)).astype(np.uint8)
    return image.fromarray(shown).resize((_SIDE, _SIDE), image.Resampling.NEAREST)
