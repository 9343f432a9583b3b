"""A survey of the files of a folder: each is opened once before training."""

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from jaxtyping import Int64

from orbitconv._support.progress import ProgressCallback
from orbitconv.data.errors import DataError
from orbitconv.data.formats import Pages, open_picture, read
from orbitconv.data.formats.picture import as_asked

_BLOCK = 1 << 20


@dataclass(frozen=True, kw_only=True)
class Header:
    """The header of a picture file, and how often each number occurs in its mask, if there is one.

    Limits are black and white of the type; by its stamp, size in bytes and time, a change under way is noticed.
    """

    channels: int
    height: int
    width: int
    kind: str
    limits: tuple[float, float]
    pages: int
    stamp: tuple[int, int]
    values: Mapping[int, int] = field(default_factory=dict)


def stamp_of(path: Path) -> tuple[int, int]:
    """Size of a file in bytes, and its time of change in nanoseconds since 1970."""
    facts = path.stat()
    return facts.st_size, facts.st_mtime_ns


def survey(
    files: Sequence[tuple[Path, Path | None]], *, pages: Pages, decode: bool, progress: ProgressCallback
) -> list[Header | DataError]:
    """Open pictures, and masks where there are some, whose pixels are read in any case.

    Those of pictures if `decode`.
    """
    found: list[Header | DataError] = []
    for done, (path, mask) in enumerate(files, start=1):
        try:
            found.append(_look_at(path, mask, pages, decode=decode))
        except DataError as error:
            found.append(error)
        progress("check pictures", done, len(files))
    return found


def _look_at(path: Path, mask: Path | None, pages: Pages, *, decode: bool) -> Header:
    """Open one picture and its mask."""
    with open_picture(path) as opened:
        opened = as_asked(opened, path, pages)
    if decode:
        for page in range(opened.pages):
            read(path, pages=pages, page=page)
    values: Counter[int] = Counter()
    if mask is not None:
        for page in range(opened.pages):
            labels = read_mask(mask, pages=pages, page=page)
            if labels.shape != (opened.height, opened.width):
                raise DataError(
                    f"{mask} has {labels.shape[0]}x{labels.shape[1]} pixels, expected {opened.height}x{opened.width} "
                    f"as its picture {path} has. Remove the pair, or make the mask anew."
                )
            numbers, counts = np.unique(labels, return_counts=True)
            values.update(dict(zip(numbers.tolist(), counts.tolist(), strict=True)))
    return Header(
        channels=opened.channels, height=opened.height, width=opened.width, kind=opened.kind, limits=opened.limits,
        pages=opened.pages, stamp=stamp_of(path), values=values,
    )  # fmt: skip


def read_mask(path: Path, *, pages: Pages = None, page: int = 0, region: tuple[slice, slice] | None = None) -> Int64[
    np.ndarray, "h w"
]:  # fmt: skip
    """Read a mask, or rows and columns of it: one whole number for each pixel.

    Entries of a palette are the numbers, not its colours.
    """
    picture = read(path, pages="pictures" if pages == "pictures" else None, page=page, region=region, labels=True)
    pixels = picture.pixels[: len(picture.pixels) - picture.alpha]
    if (pixels != pixels[:1]).any():
        raise DataError(
            f"{path} is a mask in colours ({len(pixels)} channels), expected one number for each pixel. Save the "
            "numbers of the classes as an 8-bit or 16-bit PNG."
        )
    labels = pixels[0].astype(np.int64)
    if pixels.dtype.kind == "f" and (labels != pixels[0]).any():
        raise DataError(f"{path} is a mask of {picture.kind} that are not whole, expected the numbers of classes.")
    return labels


def same_files(left: Iterable[Path], right: Iterable[Path]) -> list[tuple[Path, Path]]:
    """Files of one list whose bytes also stand in another; only those of equal size are read."""
    by_size: dict[int, list[Path]] = {}
    for path in right:
        by_size.setdefault(path.stat().st_size, []).append(path)
    sums: dict[Path, bytes] = {}
    pairs = []
    for path in left:
        near = [] if path.is_dir() else by_size.get(path.stat().st_size, [])
        twin = next((other for other in near if _checksum(other, sums) == _checksum(path, sums)), None)
        if twin is not None:
            pairs.append((path, twin))
    return pairs


def _checksum(path: Path, known: dict[Path, bytes]) -> bytes:
    """SHA-256 of a file, remembered."""
    if path not in known:
        digest = hashlib.sha256()
        with path.open("rb") as file:
            while block := file.read(_BLOCK):
                digest.update(block)
        known[path] = digest.digest()
    return known[path]
