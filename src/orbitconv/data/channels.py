"""Pictures of one number of channels as pictures of another: luminance, opacity on white, grey repeated."""

from dataclasses import replace

import numpy as np
from jaxtyping import Shaped

from orbitconv.data.errors import DataError
from orbitconv.data.formats import Picture
from orbitconv.data.image_set import LUMINANCE


def with_channels(picture: Picture, channels: int, name: object = "The picture") -> Picture:
    """Give a picture as many channels as are wanted.

    That is as many as there are; or 1 or 3 from grey or RGB, with declared opacity or without, and from CMYK. Errors
    name its file.
    """
    if len(picture.pixels) == channels:
        return picture
    if picture.colours == "CMYK" and len(picture.pixels) == 4:
        picture = replace(picture, pixels=_from_cmyk(picture), colours="")
    elif picture.alpha and len(picture.pixels) in {2, 4}:
        picture = replace(picture, pixels=_on_white(picture), alpha=False)
    have = len(picture.pixels)
    if have == channels:
        return picture
    if have == 1:
        return replace(picture, pixels=np.repeat(picture.pixels, channels, 0))
    if (have, channels) == (3, 1) and not picture.colours:
        return replace(picture, pixels=_luminance(picture.pixels))
    raise DataError(
        f"{name} has {have} channels{f' ({picture.colours})' if picture.colours else ''}, of which {channels} cannot "
        f"be made. Ask for channels={have}, or convert the pictures."
    )


def _luminance(pixels: Shaped[np.ndarray, "3 h w"]) -> Shaped[np.ndarray, "1 h w"]:
    """Rec. 601; of bytes as Pillow rounds it."""
    if pixels.dtype == np.uint8:
        red, green, blue = pixels.astype(np.uint32)
        return ((red * 19595 + green * 38470 + blue * 7471 + 0x8000) >> 16).astype(np.uint8)[None]
    grey = np.tensordot(np.array(LUMINANCE), pixels.astype(np.float64), 1)[None]
    return (np.rint(grey) if pixels.dtype.kind in "iu" else grey).astype(pixels.dtype)


def _on_white(picture: Picture) -> Shaped[np.ndarray, "c h w"]:
    """Colours over white, by the last channel."""
    black, white = picture.limits
    opacity = (picture.pixels[-1:] - np.float64(black)) / (white - black)
    seen = picture.pixels[:-1] * opacity + white * (1 - opacity)
    return (np.rint(seen) if picture.pixels.dtype.kind in "iu" else seen).astype(picture.pixels.dtype)


def _from_cmyk(picture: Picture) -> Shaped[np.ndarray, "3 h w"]:
    """Red, green and blue without a colour profile: white less ink, times white less black."""
    black, white = picture.limits
    ink = (picture.pixels.astype(np.float64) - black) / (white - black)
    seen = black + (white - black) * (1 - ink[:3]) * (1 - ink[3:])
    return (np.rint(seen) if picture.pixels.dtype.kind in "iu" else seen).astype(picture.pixels.dtype)
