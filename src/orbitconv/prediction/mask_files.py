"""Masks as files: PNG, TIFF, or GeoTIFF with the place on earth of the picture that they belong to."""

import io
from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
from jaxtyping import Shaped

from orbitconv._support.optional import import_optional

MaskFormat = Literal["auto", "png", "tiff"]
SUFFIX = {"png": ".png", "tiff": ".tif"}
"""How the names of files of each format end."""
_MOST_IN_PNG = 65535


def chosen_format(wanted: MaskFormat, place: Mapping[str, Any] | None, numbers: int) -> Literal["png", "tiff"]:
    """The format of a mask whose largest number is given.

    `"auto"` takes PNG, but TIFF for pictures with a place on earth and for more numbers than PNG holds.
    """
    if wanted == "auto":
        return "tiff" if place is not None or numbers > _MOST_IN_PNG else "png"
    if wanted == "png" and numbers > _MOST_IN_PNG:
        raise ValueError(f"A mask of {numbers:,} objects is more than PNG holds ({_MOST_IN_PNG:,}). Choose tiff.")
    return wanted


def encoded(
    pixels: Shaped[np.ndarray, "h w *c"],
    file_format: Literal["png", "tiff"],
    place: Mapping[str, Any] | None = None,
    missing: int | None = None,
) -> bytes:
    """Pixels as a file."""
    content = io.BytesIO()
    if file_format == "png":
        import_optional("PIL.Image", "train", "Writing PNG").fromarray(pixels).save(content, "PNG")
    elif place is None:
        import_optional("tifffile", "train", "Writing TIFF").imwrite(content, pixels, compression="zlib")
    else:
        rasterio = import_optional("rasterio", "formats", "Writing GeoTIFF")
        height, width = pixels.shape
        with rasterio.MemoryFile() as memory:
            with memory.open(
                driver="GTiff", height=height, width=width, count=1, dtype=pixels.dtype.name, nodata=missing,
                compress="deflate", **place,
            ) as file:  # fmt: skip
                file.write(pixels, 1)
            return memory.read()
    return content.getvalue()
