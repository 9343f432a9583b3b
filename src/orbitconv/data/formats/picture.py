"""One picture of a file, as the numbers that the file states."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
from jaxtyping import Bool, Shaped

from orbitconv._support.optional import install_hint
from orbitconv.data.errors import DamagedError, DataError, UnsupportedError
from orbitconv.data.formats.opened import Opened, Page, Region
from orbitconv.data.formats.recognised import reader_of

Pages = Literal["pictures", "channels"] | None
"""What the pages of a stack are; None refuses stacks."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Picture:
    """Numbers of a picture, not yet scaled.

    Args:
        pixels: Numbers as the file states them.
        kind: Their type, such as `"uint8"` or `"uint12"`.
        limits: The number that stands for black and the one that stands for white.
        valid: Which pixels hold data; None where all do.
        alpha: Whether the last channel is opacity.
        colours: Colour space where it is neither grey nor RGB.
    """

    pixels: Shaped[np.ndarray, "c h w"]
    kind: str
    limits: tuple[float, float]
    valid: Bool[np.ndarray, "h w"] | None = None
    alpha: bool = False
    colours: str = ""


@contextmanager
def open_picture(path: Path, *, labels: bool = False) -> Iterator[Opened]:
    """Open a picture file, and explain what is wrong with it if it cannot be read."""
    reader = reader_of(path)
    with ExitStack() as stack:
        with _explained(path):
            opened = stack.enter_context(reader(path, labels=labels))

        def page(index: int, region: Region | None) -> Page:
            with _explained(path):
                return opened.page(index, region)

        yield replace(opened, page=page)  # errors of those who use it are none of the file


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    """Say what is wrong with a file that a library cannot read."""
    try:
        yield
    except (DataError, ModuleNotFoundError):
        raise
    except NotImplementedError as error:
        raise UnsupportedError(f"{path} cannot be read as a picture: {error}. Save it as PNG or plain TIFF.") from error
    except Exception as error:  # damaged files make the libraries raise errors of any kind
        text = f"{error}"
        if "requires the 'imagecodecs' package" in text:
            raise ModuleNotFoundError(
                f"Reading {path.name} needs the module imagecodecs, which is not installed. "
                f"To read it, {install_hint('formats')}.",
                name="imagecodecs",
            ) from error
        if (isinstance(error, TypeError) and text.startswith("numbers of type")) or "not supported" in text:
            raise UnsupportedError(
                f"{path} cannot be read as a picture: {text} are not supported. Save it as PNG or plain TIFF."
            ) from error
        raise DamagedError(
            f"{path} cannot be read as a picture: it is damaged ({type(error).__name__}: {text[:200]}). Remove or "
            "repair it."
        ) from error


@contextmanager
def regions(
    path: Path, *, pages: Pages = None, page: int = 0, labels: bool = False
) -> Iterator[Callable[[Region | None], Picture]]:
    """Open a picture to read many regions of it; compressed files are decoded once at most.

    Args:
        path: Picture file.
        pages: What the pages of a stack are: `"pictures"` reads the one numbered `page`, `"channels"` all of them.
        page: Number of the page, from 0.
        labels: Whether the numbers are labels rather than brightness.

    Yields:
        Function that reads rows and columns, or everything if given None.

    Raises:
        DataError: If it is a stack, and nobody said what its pages are; if a pixel is NaN or infinite.
    """
    with open_picture(path, labels=labels) as opened:
        opened = as_asked(opened, path, pages)

        def read_region(region: Region | None) -> Picture:
            pixels, valid = opened.page(page, region)
            pixels = np.array(pixels, dtype=pixels.dtype.newbyteorder("="), order="C")
            expected = (opened.channels, opened.height, opened.width)
            if region is None and pixels.shape != expected:
                raise DamagedError(f"{path} is damaged: its header states {expected}, it holds {pixels.shape}.")
            _check_finite(pixels, valid, path)
            return Picture(
                pixels=pixels, kind=opened.kind, limits=opened.limits, valid=valid, alpha=opened.alpha,
                colours=opened.colours,
            )  # fmt: skip

        yield read_region


def read(
    path: Path, *, pages: Pages = None, page: int = 0, region: Region | None = None, labels: bool = False
) -> Picture:
    """Read a picture, or a region, as `regions` does: numbers as in the file, in the byte order of this machine."""
    with regions(path, pages=pages, page=page, labels=labels) as read_region:
        return read_region(region)


def _check_finite(pixels: Shaped[np.ndarray, "c h w"], valid: Bool[np.ndarray, "h w"] | None, path: Path) -> None:
    """Refuse NaN and infinity where there should be data."""
    if pixels.dtype.kind != "f":
        return
    finite = np.isfinite(pixels).all(0)
    bad = int((~finite if valid is None else valid & ~finite).sum())
    if bad:
        raise DataError(
            f"{path} holds {bad} NaN or infinite pixels among {finite.size}, expected finite ones. Fill them in, "
            "declare them as missing data (FITS, GeoTIFF), or remove the picture."
        )


def as_asked(opened: Opened, path: Path, pages: Pages) -> Opened:
    """Refuse a stack unless the meaning of its pages is given, or join them."""
    if opened.pages > 1 and pages is None:
        raise DataError(
            f"{path} is a stack of {opened.pages} pages. Say whether they are pictures of their own "
            "(pages='pictures') or the channels of one picture (pages='channels')."
        )
    return opened.joined() if pages == "channels" and opened.pages > 1 else opened
