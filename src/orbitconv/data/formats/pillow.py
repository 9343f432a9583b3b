"""PNG, JPEG, WebP, BMP and GIF, by Pillow; colours of 16 bits in PNG by imagecodecs, as Pillow cuts them to bytes."""

import functools
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Shaped

from orbitconv._support.optional import import_optional
from orbitconv.data.errors import DamagedError, DataError
from orbitconv.data.formats.opened import Opened, Page, Region, cut, kind_of, upright

_FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "DIB", "GIF")
_ORIENTATION = 0x0112
_TRANSPARENT = {"RGBA", "LA", "PA", "RGBa", "La"}


@contextmanager
def open_pillow(path: Path, *, labels: bool = False) -> Iterator[Opened]:
    """Open a file for Pillow.

    Transparent pictures are laid on white. Orientation in EXIF is honoured. For labels entries of a palette are not
    looked up.
    """
    image_module = import_optional("PIL.Image", "train", "orbitconv.data")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", image_module.DecompressionBombWarning)  # up to twice the limit is fine
            with image_module.open(path, formats=_FORMATS) as picture:
                yield _opened(picture, path, labels=labels)
    except image_module.DecompressionBombError as error:
        raise DataError(
            f"{path} has too many pixels to be opened safely ({error}). Make it smaller or cut it into parts, or "
            "remove it; in Python, PIL.Image.MAX_IMAGE_PIXELS = None lifts the limit for files you trust."
        ) from error


def _opened(picture: Any, path: Path, *, labels: bool) -> Opened:
    """The header of a picture, and how to read its frames."""
    depth, colour_type = _png_depth(path) if picture.format == "PNG" else (8, None)
    orientation = picture.getexif().get(_ORIENTATION, 1)
    width, height = reversed(picture.size) if orientation in {5, 6, 7, 8} else picture.size
    pages = 1 if picture.format == "MPO" else getattr(picture, "n_frames", 1)  # MPO: a JPEG with a second view or a map
    if depth == 16 and colour_type in {2, 4, 6}:

        @functools.cache
        def deep() -> Shaped[np.ndarray, "c h w"]:
            return upright(_deep_colours(path), orientation)

        kind, limits = kind_of(np.dtype(np.uint16))
        channels = 1 if colour_type == 4 else 3
        return Opened(
            pages=1,
            channels=channels,
            height=height,
            width=width,
            kind=kind,
            limits=limits,
            page=lambda _, region: (cut(deep(), region), None),
        )

    @functools.lru_cache(maxsize=1)
    def frame(index: int) -> Shaped[np.ndarray, "c h w"]:
        if pages > 1:
            picture.seek(index)
        pixels = np.asarray(_plain(picture, labels=labels, coloured=pages > 1))
        if picture.format == "PNG" and depth == 16:
            pixels = pixels.astype(np.uint16)  # some versions of Pillow hold them as int32
        if labels and colour_type == 0 and depth in {2, 4}:
            pixels = pixels // (255 // (2**depth - 1))  # Pillow stretches few bits to a byte
        pixels = pixels[None] if pixels.ndim == 2 else pixels.transpose(2, 0, 1)
        return upright(pixels, orientation)

    def page(index: int, region: Region | None) -> Page:
        return cut(frame(index), region), None

    channels, dtype = _form(picture, labels=labels, coloured=pages > 1)
    kind, limits = kind_of(np.dtype(np.uint16) if depth == 16 else dtype)
    return Opened(pages=pages, channels=channels, height=height, width=width, kind=kind, limits=limits, page=page)


def _form(picture: Any, *, labels: bool, coloured: bool) -> tuple[int, np.dtype]:
    """Channels and type of what `_plain` returns, without decoding."""
    mode = picture.mode
    if mode.startswith("I;16"):
        return 1, np.dtype(np.uint16)
    if mode in {"I", "F"}:
        return 1, np.dtype(np.int32 if mode == "I" else np.float32)
    if mode == "1":
        return 1, np.dtype(bool)
    grey = mode in {"L", "LA", "La"} or (labels and mode in {"P", "PA"})
    return (1 if grey and not (coloured and not labels) else 3), np.dtype(np.uint8)


def _plain(picture: Any, *, labels: bool, coloured: bool) -> Any:
    """A picture in grey or red, green and blue, without palette and transparency."""
    if labels and picture.mode in {"P", "PA"}:
        return picture if picture.mode == "P" else picture.getchannel("P" if "P" in picture.getbands() else 0)
    if picture.mode.startswith("I") or picture.mode in {"F", "1"}:
        return picture
    channels, _ = _form(picture, labels=labels, coloured=coloured)
    mode = "L" if channels == 1 else "RGB"
    if labels or (picture.mode not in _TRANSPARENT and "transparency" not in picture.info):
        return picture if picture.mode == mode else picture.convert(mode)
    image_module = import_optional("PIL.Image", "train", "orbitconv.data")
    white = image_module.new("RGBA", picture.size, "white")
    return image_module.alpha_composite(white, picture.convert("RGBA")).convert(mode)


def _png_depth(path: Path) -> tuple[int, int]:
    """Bits of a sample and colour type, from the header of a PNG."""
    with path.open("rb") as file:
        header = file.read(26)
    if len(header) < 26:
        raise DamagedError(f"{path} is damaged: its header ends early. Repair or remove it.")
    return header[24], header[25]


def _deep_colours(path: Path) -> np.ndarray:
    """The pixels of a PNG of 16-bit colours, on white where it is transparent."""
    imagecodecs = import_optional("imagecodecs", "formats", f"Reading the 16-bit colours of {path.name}")
    pixels = imagecodecs.png_decode(path.read_bytes()).transpose(2, 0, 1)
    if pixels.shape[0] in {1, 3}:
        return pixels
    opacity = pixels[-1:].astype(np.float64) / 65535
    return np.round(pixels[:-1] * opacity + 65535 * (1 - opacity)).astype(np.uint16)
