"""Pictures decoded once into one file each for pixels and masks, from which windows are mapped into memory."""

import hashlib
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Sequence
from io import BufferedReader
from pathlib import Path
from typing import Any, final

import numpy as np
from jaxtyping import Int64, Shaped

from orbitconv._support.files import write_atomically
from orbitconv._support.json_text import read_json
from orbitconv._support.progress import ProgressCallback
from orbitconv.data.cache import locked
from orbitconv.data.errors import DataError, writing
from orbitconv.data.formats import Picture, Region

_PIXELS, _INDEX = "pixels.bin", "index.json"


@final
class DecodedPictures:
    """A folder that `decode` filled with decoded pictures.

    Raises:
        DataError: If it is damaged.
    """

    def __init__(self, folder: Path) -> None:
        self._file = folder / _PIXELS
        try:
            index = read_json(folder / _INDEX)
            self._places: list[dict[str, Any]] = index["places"]
            if self._file.stat().st_size != index["bytes"]:
                raise ValueError(f"{self._file} has another size")
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise DataError(f"The cache {folder} is damaged ({error}). Remove it; it is then made anew.") from error

    def picture(self, number: int, region: Region | None = None) -> Picture:
        """A picture as it was decoded."""
        place = self._places[number]
        valid = None if place["valid"] is None else self._read(place["valid"], region)[0] != 0
        return Picture(
            pixels=self._read(place["pixels"], region), kind=place["kind"], limits=tuple(place["limits"]), valid=valid
        )

    def mask(self, number: int, region: Region | None = None) -> Int64[np.ndarray, "h w"]:
        """The mask of a picture."""
        return self._read(self._places[number]["mask"], region)[0].astype(np.int64)

    def _read(self, place: Sequence[Any], region: Region | None) -> Shaped[np.ndarray, "c h w"]:
        """Copy an array, or a part of it, and let go of the file, whose pages would else count as memory in use."""
        offset, dtype, (channels, height, width) = place
        row = width * np.dtype(dtype).itemsize
        top, bottom, _ = (slice(None) if region is None else region[0]).indices(height)
        with self._file.open("rb") as file:
            for plane in range(channels):
                _read_ahead(file, offset + (plane * height + top) * row, (bottom - top) * row)
            array = np.memmap(file, dtype=dtype, mode="r", offset=offset, shape=(channels, height, width))
        return np.array(array if region is None else array[:, region[0], region[1]])


def _read_ahead(file: BufferedReader, offset: int, size: int) -> None:
    """Ask for bytes of a file at once, where the system can: mapped pages are else fetched a few at a time."""
    if sys.platform == "linux":
        os.posix_fadvise(file.fileno(), offset, size, os.POSIX_FADV_WILLNEED)


def decode(
    root: Path,
    facts: object,
    pictures: Sequence[tuple[Callable[[], Picture], Callable[[], Int64[np.ndarray, "h w"]] | None]],
    progress: ProgressCallback,
) -> DecodedPictures:
    """Decode pictures into a folder of the caches at `root`, unless an earlier call did.

    `facts`, anything that JSON holds, is what the pictures depend on: names, sizes and times of files. For each picture
    there are functions that read it, and its mask if there is one.

    Raises:
        DataError: If the folder cannot be written, or the disk is full; nothing half-written is left.
    """
    name = hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:20]
    folder = root / name
    with writing(root), locked(root, name):
        if not folder.exists():
            staging = Path(tempfile.mkdtemp(prefix=f".{name}.", dir=root))
            try:
                _write(staging, pictures, progress)
                staging.replace(folder)
            finally:
                shutil.rmtree(staging, ignore_errors=True)
    return DecodedPictures(folder)


def _write(
    folder: Path,
    pictures: Sequence[tuple[Callable[[], Picture], Callable[[], Int64[np.ndarray, "h w"]] | None]],
    progress: ProgressCallback,
) -> None:
    """Write pixels one after another, and then where they are."""
    places = []
    with (folder / _PIXELS).open("wb") as file:

        def put(array: Shaped[np.ndarray, "c h w"]) -> tuple[int, str, list[int]]:
            start = file.tell()
            file.write(np.ascontiguousarray(array).data)
            return start, array.dtype.str, list(array.shape)

        for done, (read_picture, read_labels) in enumerate(pictures, start=1):
            picture = read_picture()
            labels = None if read_labels is None else read_labels()
            narrow = np.int64 if labels is None else np.promote_types(
                np.min_scalar_type(int(labels.min())), np.min_scalar_type(int(labels.max()))
            )  # fmt: skip
            places.append({
                "pixels": put(picture.pixels),
                "valid": None if picture.valid is None else put(picture.valid[None].astype(np.uint8)),
                "mask": None if labels is None else put(labels[None].astype(narrow)),
                "kind": picture.kind,
                "limits": picture.limits,
            })  # fmt: skip
            progress("decoded pictures", done, len(pictures))
        size = file.tell()
    write_atomically(folder / _INDEX, json.dumps({"bytes": size, "places": places}))
