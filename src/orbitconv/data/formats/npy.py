"""NumPy's own files: (height, width), or with channels first or last."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
from jaxtyping import Shaped

from orbitconv.data.errors import DataError, UnsupportedError
from orbitconv.data.formats.opened import Opened, Page, Region, channel_axis, cut, kind_of


@contextmanager
def open_npy(path: Path, *, labels: bool = False) -> Iterator[Opened]:  # noqa: ARG001
    """Open a .npy file; only the requested part is read."""
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except ValueError as error:
        if "Array can't be memory-mapped" in str(error) or "allow_pickle" in str(error):
            raise UnsupportedError(
                f"{path} holds Python objects, expected numbers. Save it anew as numbers."
            ) from error
        raise

    def page(index: int, region: Region | None) -> Page:
        # Mapped anew for each part: pages of a mapping that stays count as memory in use.
        return of_array(np.load(path, mmap_mode="r", allow_pickle=False), path).page(index, region)

    opened = of_array(array, path)
    yield replace(opened, page=page)


def of_array(array: Shaped[np.ndarray, "..."], path: Path) -> Opened:
    """Read an array as a picture: of three axes the shorter one of the first and the last holds channels."""
    if array.ndim not in {2, 3}:
        raise DataError(
            f"{path} holds an array of shape {array.shape}, expected (height, width), (channels, height, width) or "
            "(height, width, channels). Save each picture as a file of its own."
        )
    kind, limits = kind_of(array.dtype)
    if array.ndim == 2:
        planes = array[None]
    else:
        axis = channel_axis(array.shape)
        if axis is None:
            raise DataError(
                f"{path} holds an array of shape {array.shape}: its channels may be first or last. Save it with fewer "
                "channels than rows and columns, or as TIFF."
            )
        planes = array if axis == 0 else array.transpose(2, 0, 1)
    channels, height, width = planes.shape

    def page(index: int, region: Region | None) -> Page:  # noqa: ARG001
        return np.array(cut(planes, region)), None

    return Opened(pages=1, channels=channels, height=height, width=width, kind=kind, limits=limits, page=page)
