"""The interface of format readers: the header of a file, and its pages on demand."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from jaxtyping import Bool, Shaped

Region = tuple[slice, slice]
"""Rows and columns of a picture."""
Page = tuple[Shaped[np.ndarray, "c h w"], Bool[np.ndarray, "h w"] | None]
"""Numbers as the file states them, and which pixels hold data; None where all do."""


@dataclass(frozen=True, kw_only=True)
class Opened:
    """An open picture file.

    Args:
        pages: Number of pages, frames or planes in the file.
        channels: Channels of one page.
        height: Rows.
        width: Columns.
        kind: Type of the numbers: `"uint8"`, `"uint12"` (12 of the 16 bits that hold them), `"float32"`, ...
        limits: The number that stands for black and the one that stands for white; 0 and 1 for floats.
        page: Read one page, or a region of it.
        alpha: Whether the last channel is declared to be opacity.
        colours: Colour space where it is neither grey nor RGB, such as `"CMYK"`.
        place: Where on earth it lies, as rasterio takes it: coordinate system, and transform or control points.
    """

    pages: int
    channels: int
    height: int
    width: int
    kind: str
    limits: tuple[float, float]
    page: Callable[[int, Region | None], Page] = field(repr=False)
    alpha: bool = False
    colours: str = ""
    place: Mapping[str, Any] | None = None

    def joined(self) -> "Opened":
        """Join pages as channels of one picture."""

        def whole(index: int, region: Region | None) -> Page:  # noqa: ARG001
            pixels, valid = zip(*(self.page(i, region) for i in range(self.pages)), strict=True)
            known = [one for one in valid if one is not None]
            return np.concatenate(pixels), np.logical_and.reduce(known) if known else None

        return replace(self, pages=1, channels=self.pages * self.channels, page=whole, alpha=False, colours="")


def kind_of(dtype: np.dtype, bits: int | None = None) -> tuple[str, tuple[float, float]]:
    """Name a type of numbers, and say which are black and white: the ends of integers, else 0 and 1."""
    if dtype.kind == "b":
        return "bool", (0, 1)
    if dtype.kind == "f":
        return dtype.name, (0, 1)
    if dtype.kind not in "iu":
        raise TypeError(f"numbers of type {dtype.name}")
    bits = bits or dtype.itemsize * 8
    if dtype.kind == "u":
        return f"uint{bits}", (0, 2**bits - 1)
    return f"int{bits}", (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)


def upright(pixels: Shaped[np.ndarray, "c h w"], orientation: int) -> Shaped[np.ndarray, "c h2 w2"]:
    """Turn and mirror stored pixels as the orientation tag of TIFF and EXIF, 1 to 8, says."""
    if orientation in {5, 6, 7, 8}:
        pixels = pixels.transpose(0, 2, 1)
    rows = slice(None, None, -1) if orientation in {3, 4, 7, 8} else slice(None)
    columns = slice(None, None, -1) if orientation in {2, 3, 6, 7} else slice(None)
    return np.ascontiguousarray(pixels[:, rows, columns])


def cut(pixels: Shaped[np.ndarray, "c h w"], region: Region | None) -> Shaped[np.ndarray, "c h2 w2"]:
    """A region of a picture that is in memory."""
    return pixels if region is None else pixels[:, region[0], region[1]]


def channel_axis(shape: tuple[int, ...]) -> int | None:
    """The axis of channels, 0 or 2, of an unnamed array: the shorter one of the first and the last.

    None if equally long.
    """
    if shape[0] == shape[2]:
        return None
    return 0 if shape[0] < shape[2] else 2
