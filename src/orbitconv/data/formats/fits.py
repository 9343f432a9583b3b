"""FITS, by astropy: BZERO and BSCALE applied, BLANK and NaN taken for missing data."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from jaxtyping import Bool

from orbitconv._support.optional import import_optional
from orbitconv.data.errors import DamagedError, UnsupportedError
from orbitconv.data.formats.opened import Opened, Page, Region, cut, kind_of


@contextmanager
def open_fits(path: Path, *, labels: bool = False) -> Iterator[Opened]:  # noqa: ARG001
    """Open the first image of a FITS file; axes beyond rows and columns are pages. Rows keep the order of the file."""
    fits = import_optional("astropy.io.fits", "formats", f"Reading {path.name}")
    with path.open("rb") as file, _opened(fits, file, path) as units:
        images = [unit for unit in units if unit.is_image and unit.header["NAXIS"] >= 2]
        if not images:
            raise UnsupportedError(f"{path} holds no image, only {', '.join(unit.name or 'tables' for unit in units)}.")
        if len(images) > 1:
            raise UnsupportedError(f"{path} holds {len(images)} images. Save each as a file of its own.")
        blank = images[0].header["BITPIX"] > 0 and "BLANK" in images[0].header
        with _whole(path):
            data = images[0].data
        planes = data.reshape(-1, 1, *data.shape[-2:])
        missing = _missing(fits, path, units.index(images[0])).reshape(planes.shape) if blank else None
        kind, limits = kind_of(data.dtype)

        def page(index: int, region: Region | None) -> Page:
            pixels = cut(planes[index], region)
            valid = ~np.isnan(pixels[0])
            if missing is not None:
                valid &= ~cut(missing[index], region)[0]
            return pixels, None if valid.all() else valid

        yield Opened(
            pages=len(planes), channels=1, height=data.shape[-2], width=data.shape[-1], kind=kind, limits=limits,
            page=page,
        )  # fmt: skip


def _opened(fits: Any, file: BinaryIO, path: Path) -> Any:
    """The image units of a file."""
    with _whole(path):
        return fits.open(file, memmap=False)


def _missing(fits: Any, path: Path, index: int) -> Bool[np.ndarray, "..."]:
    """Which integers are BLANK. astropy 8.0 makes none of them NaN if BLANK is 0 or the numbers are unsigned."""
    options = {"memmap": False, "do_not_scale_image_data": True}
    with _whole(path), path.open("rb") as file, fits.open(file, **options) as units:
        return units[index].data == units[index].header["BLANK"]


@contextmanager
def _whole(path: Path) -> Iterator[None]:
    """Refuse files that astropy reads with no more than a warning though they end early."""
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        yield
    for one in said:
        if "truncated" in str(one.message) or "corrupted" in str(one.message):
            raise DamagedError(f"{path} cannot be read as a picture: it is damaged ({one.message}). Replace it.")
