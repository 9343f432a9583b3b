"""Zarr arrays and OME-Zarr pictures, by zarr."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from orbitconv._support.optional import import_optional
from orbitconv.data.errors import UnsupportedError
from orbitconv.data.formats.npy import of_array
from orbitconv.data.formats.opened import Opened, Page, Region, kind_of


@contextmanager
def open_zarr(path: Path, *, labels: bool = False) -> Iterator[Opened]:  # noqa: ARG001
    """Open a Zarr array, or the finest level of an OME-Zarr picture; only the requested chunks are read."""
    zarr = import_optional("zarr", "formats", f"Reading {path.name}")
    node = zarr.open(str(path), mode="r")
    if hasattr(node, "shape"):
        yield _array(node, path, None)
        return
    attributes = dict(node.attrs)
    scales = attributes.get("ome", attributes).get("multiscales")
    if not scales:
        raise UnsupportedError(f"{path} is a group of arrays without OME's multiscales. Name one of its arrays.")
    axes = "".join(axis["name"] if isinstance(axis, dict) else axis for axis in scales[0].get("axes", "tczyx"))
    yield _array(node[scales[0]["datasets"][0]["path"]], path, axes)


def _array(array: Any, path: Path, axes: str | None) -> Opened:
    """A Zarr array as a picture; axes beside c, y and x are pages."""
    if axes is None:
        channels = of_array(np.broadcast_to(np.zeros((), array.dtype), array.shape), path).channels
        axes = {2: "yx", 3: "cyx" if array.shape[0] == channels else "yxc"}[array.ndim]
    sizes = dict(zip(axes, array.shape, strict=True))
    leading = [axis for axis in axes if axis not in "cyx"]
    kind, limits = kind_of(np.dtype(array.dtype))

    def page(index: int, region: Region | None) -> Page:
        place = dict(zip(leading, np.unravel_index(index, [sizes[axis] for axis in leading]), strict=True))
        rows, columns = region or (slice(None), slice(None))
        wanted = {**{axis: int(i) for axis, i in place.items()}, "c": slice(None), "y": rows, "x": columns}
        pixels = np.asarray(array[tuple(wanted[axis] for axis in axes)])
        left = [axis for axis in axes if axis in "cyx"]
        pixels = pixels.transpose([left.index(axis) for axis in "cyx" if axis in left])
        return pixels if pixels.ndim == 3 else pixels[None], None

    return Opened(
        pages=int(np.prod([sizes[axis] for axis in leading], dtype=int)), channels=sizes.get("c", 1),
        height=sizes["y"], width=sizes["x"], kind=kind, limits=limits, page=page,
    )  # fmt: skip
