"""TIFF of every kind, by tifffile; files with a place on earth go to rasterio."""

import importlib.util
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Shaped

from orbitconv._support.optional import import_optional
from orbitconv.data.errors import UnsupportedError
from orbitconv.data.formats.geotiff import open_geotiff
from orbitconv.data.formats.opened import Opened, Page, Region, cut, kind_of, upright

_GEOGRAPHIC = (33550, 33922, 34264, 34735, 42112, 42113)
"""Tags of GeoTIFF and of GDAL: scale, tie points, transformation, keys, metadata, missing data."""
_ALPHA = {1, 2}
_PARTS_FROM = 64 << 20
"""Bytes of pixels from which on parts of compressed files are decoded alone."""
_WHITE_IS_ZERO, _PALETTE, _CMYK, _YCBCR, _CIELAB = 0, 3, 5, 6, 8


@contextmanager
def open_tiff(path: Path, *, labels: bool = False) -> Iterator[Opened]:
    """Open a TIFF, classic or Big, with the axes that OME, ImageJ or tifffile name.

    Axes C and S are channels, all others beside Y and X are pages. WhiteIsZero is inverted and a palette looked up, but
    for labels; orientation is honoured.
    """
    tifffile = import_optional("tifffile", "train", f"Reading {path.name}")
    logging.getLogger("tifffile").addHandler(logging.NullHandler())  # what it logs is raised here
    with tifffile.TiffFile(path) as tiff:
        if any(tag in tiff.pages.first.tags for tag in _GEOGRAPHIC) and not tiff.is_ome:
            geographic = True
        else:
            geographic = False
            yield _opened(tiff, path, labels=labels)
    if geographic:
        with open_geotiff(path, labels=labels) as opened:
            yield opened


def _opened(tiff: Any, path: Path, *, labels: bool) -> Opened:
    """The header of the first series of pages, and how to read them."""
    first, *others = [series for series in tiff.series if not series.keyframe.is_reduced] or tiff.series
    if others:
        raise UnsupportedError(
            f"{path} holds {len(others) + 1} pictures of different sizes or types. Save each as a file of its own."
        )
    key = first.keyframe
    photometric = int(key.photometric)
    if photometric == _YCBCR and int(key.compression) not in {6, 7}:
        raise UnsupportedError(f"{path} stores YCbCr colours without JPEG. Save it as RGB.")
    bits = key.bitspersample if first.dtype.kind in "iu" else None
    kind, limits = kind_of(np.dtype(bool) if bits == 1 else first.dtype, bits)
    axes, sizes = first.axes, dict(zip(first.axes, first.shape, strict=True))
    if "Y" not in axes or "X" not in axes:
        raise UnsupportedError(f"{path} has the axes {axes}, expected Y and X among them. Save it as a plain TIFF.")
    channels = sizes.get("C", 1) * sizes.get("S", 1)
    pages = int(np.prod([size for axis, size in sizes.items() if axis not in "CSYX"], dtype=int))
    palette = None if labels or photometric != _PALETTE or key.colormap is None else np.asarray(key.colormap)
    if palette is not None:
        if not (palette % 256).any() or not (palette % 257).any():
            palette = (palette >> 8).astype(np.uint8)  # bytes, as most programs write them
        kind, limits = kind_of(palette.dtype)
        channels = len(palette)
    if photometric == _WHITE_IS_ZERO and first.dtype.kind not in "iub":
        raise UnsupportedError(f"{path} says that zero is white of {kind} numbers, which have no black. Save it anew.")
    orientation = int(key.tags.valueof("Orientation", default=1))
    height, width = sizes["Y"], sizes["X"]
    if orientation in {5, 6, 7, 8}:
        height, width = width, height
    whole: list[Shaped[np.ndarray, "p c h w"]] = []

    def page(index: int, region: Region | None) -> Page:
        if not whole and region is not None and orientation == 1 and _large(first):
            pixels = _part(first, index, region, channels if palette is None else 1)
            return _seen(pixels), None
        if _mapped(first):  # anew for each part: pages of a mapping that stays count as memory in use
            pixels = _ordered(tiff, first)[index]
        else:
            if not whole:
                whole.append(_ordered(tiff, first))
            pixels = whole[0][index]
        if orientation in range(2, 9):
            pixels = upright(pixels, orientation)
        return _seen(cut(pixels, region)), None

    def _seen(pixels: Shaped[np.ndarray, "c h w"]) -> Shaped[np.ndarray, "colours h w"]:
        if palette is not None:
            return palette[:, pixels[0]]
        if photometric == _WHITE_IS_ZERO and not labels:
            black, white = limits
            return ~pixels if pixels.dtype == bool else (int(black) + int(white) - pixels).astype(pixels.dtype)
        return pixels

    alpha = palette is None and len(key.extrasamples) == 1 and int(key.extrasamples[0]) in _ALPHA
    colours = {_CMYK: "CMYK", _CIELAB: "CIELAB"}.get(photometric, "") if sizes.get("S", 1) > 1 else ""
    return Opened(
        pages=pages, channels=channels, height=height, width=width, kind=kind, limits=limits, page=page,
        alpha=alpha, colours=colours,
    )  # fmt: skip


def _mapped(series: Any) -> bool:
    """Whether the numbers of a series lie on disk as they are."""
    return series.dataoffset is not None and series.keyframe.is_memmappable


def _large(series: Any) -> bool:
    """Whether it pays to decode a part of a series: it is compressed, large, and there is zarr to do it."""
    return not _mapped(series) and series.nbytes > _PARTS_FROM and importlib.util.find_spec("zarr") is not None


def _part(series: Any, index: int, region: Region, channels: int) -> Shaped[np.ndarray, "c h w"]:
    """A region of one page, of which only the tiles that it touches are decoded."""
    zarr = import_optional("zarr", "formats", "Reading a part of a TIFF")
    leading = [i for i, axis in enumerate(series.axes) if axis not in "CSYX"]
    places = np.unravel_index(index, [series.shape[i] for i in leading]) if leading else ()
    wanted: list[Any] = [slice(None)] * len(series.axes)
    wanted[series.axes.index("Y")], wanted[series.axes.index("X")] = region
    for i, place in zip(leading, places, strict=True):
        wanted[i] = int(place)
    with series.aszarr(level=0) as store:
        array = np.asarray(zarr.open(store, mode="r")[tuple(wanted)])
    left = [axis for axis in series.axes if axis in "CSYX"]
    array = array.transpose([left.index(axis) for axis in "CSYX" if axis in left])
    return array.reshape(channels, *array.shape[-2:])


def _ordered(tiff: Any, series: Any) -> Shaped[np.ndarray, "p c h w"]:
    """The numbers of a series as pages of channels; not copied from disk where they lie there as they are."""
    if _mapped(series):
        array = tiff.filehandle.memmap_array(tiff.byteorder + series.dtype.char, series.shape, series.dataoffset)
    else:
        array = series.asarray()
    array = array.reshape(series.shape)
    order = [i for i, axis in enumerate(series.axes) if axis not in "CSYX"]
    order += [series.axes.index(axis) for axis in "CSYX" if axis in series.axes]
    array = array.transpose(order)
    channels = int(np.prod([series.shape[i] for i in order if series.axes[i] in "CS"], dtype=int))
    return array.reshape(-1, channels, *array.shape[-2:])
