"""GeoTIFF, by rasterio: bands are channels, missing data is left out, scale and offset of a band are applied."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from orbitconv._support.optional import import_optional
from orbitconv.data.formats.opened import Opened, Page, Region, kind_of


@contextmanager
def open_geotiff(path: Path, *, labels: bool = False) -> Iterator[Opened]:
    """Open a GeoTIFF.

    A pixel holds data where all bands do and no band of opacity is zero; the band of opacity is then dropped.
    """
    rasterio = import_optional("rasterio", "formats", f"Reading the GeoTIFF {path.name}")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", rasterio.errors.NotGeoreferencedWarning)
        source = rasterio.open(path)
    with source:
        yield _opened(source, rasterio, labels=labels)


def _opened(source: Any, rasterio: Any, *, labels: bool) -> Opened:
    """The header of a raster, and how to read its windows."""
    bands = [i + 1 for i, one in enumerate(source.colorinterp) if one != rasterio.enums.ColorInterp.alpha]
    bands = bands or list(range(1, source.count + 1))
    bits = source.tags(1, ns="IMAGE_STRUCTURE").get("NBITS")
    dtype = np.dtype(source.dtypes[bands[0] - 1])
    kind, limits = kind_of(dtype, int(bits) if bits and dtype.kind in "iu" else None)
    steps, starts = (
        np.array([values[i - 1] for i in bands])[:, None, None] for values in (source.scales, source.offsets)
    )
    scaled = not labels and bool((steps != 1).any() or (starts != 0).any())
    inverted = not labels and source.photometric == rasterio.enums.PhotometricInterp.white and dtype.kind in "iu"
    palette = None
    if not labels and source.colorinterp[0] == rasterio.enums.ColorInterp.palette:
        table = source.colormap(1)
        palette = np.array([table.get(i, (0, 0, 0, 255))[:3] for i in range(256)], dtype=np.uint8)
        kind, limits = kind_of(palette.dtype)
    black, white = limits
    if scaled:
        kind, limits = "float32", (float((black * steps + starts).min()), float((white * steps + starts).max()))

    def page(index: int, region: Region | None) -> Page:  # noqa: ARG001
        window = None
        if region is not None:
            window = rasterio.windows.Window.from_slices(*region, height=source.height, width=source.width)
        pixels = source.read(bands, window=window)
        valid = source.read_masks(window=window).all(0)
        if palette is not None:
            return palette[pixels[0]].transpose(2, 0, 1), valid
        if inverted:
            pixels = (int(black) + int(white) - pixels).astype(dtype)
        if scaled:
            pixels = (pixels * steps + starts).astype(np.float32)
        return pixels, None if valid.all() else valid

    channels = 3 if palette is not None else len(bands)
    return Opened(
        pages=1, channels=channels, height=source.height, width=source.width, kind=kind, limits=limits, page=page,
        place=_place(source),
    )  # fmt: skip


def _place(source: Any) -> dict[str, Any] | None:
    """Where on earth a raster lies; None if it does not say."""
    points, system = source.gcps
    if points:
        return {"gcps": points, "crs": system}
    if source.crs is None and source.transform.is_identity:
        return None
    return {"transform": source.transform, "crs": source.crs}
