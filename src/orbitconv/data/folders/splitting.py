"""A stratified, seeded split of pictures, written to a file and reused."""

import csv
import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from orbitconv._support.files import write_atomically
from orbitconv.data.errors import DataError, unreadable
from orbitconv.data.folders.layout import SPLITS, Split

FILE = "split.csv"


def stratified_split(strata: Sequence[object], shares: tuple[float, float], seed: int) -> list[Split]:
    """Draw a split that has the same shares of every stratum, up to rounding.

    Strata are what must be spread evenly, such as the class of each picture. The shares are those of "val" and "test";
    the rest is "train".
    """
    val, test = shares
    if min(shares) < 0 or not val + test < 1:
        raise ValueError(f"folder expects val_share and test_share of 0 or more, below 1 in sum, got {val} and {test}.")
    split: list[Split] = ["train"] * len(strata)
    order = np.random.default_rng(seed).permutation(len(strata))
    places: dict[object, list[int]] = {}
    for i in order:
        places.setdefault(strata[i], []).append(int(i))
    for members in places.values():
        n = len(members)
        last = min(round(n * test), n - 1)
        middle = min(round(n * (val + test)), n - 1)
        for rank, i in enumerate(members):
            split[i] = "test" if rank < last else "val" if rank < middle else "train"
    return split


def reused(folder: Path | None, names: Sequence[str]) -> list[Split] | None:
    """Read the split that an earlier call wrote."""
    if folder is None or not (folder / FILE).exists():
        return None
    path = folder / FILE
    try:
        text = path.read_text("utf-8", errors="surrogateescape")
    except OSError as error:
        raise unreadable(path, error) from error
    header, *rows = list(csv.reader(io.StringIO(text))) or [[]]
    if header != ["path", "split"] or any(len(row) != 2 or row[1] not in SPLITS for row in rows):
        raise DataError(f"{path} is no split that orbitconv wrote. Remove it to draw a new one.")
    known: dict[str, Split] = {name: next(one for one in SPLITS if one == split) for name, split in rows}
    added, removed = [name for name in names if name not in known], sorted(known.keys() - set(names))
    if added or removed:
        example = (added or removed)[0]
        raise DataError(
            f"The pictures differ from those that {path} divides: {len(added)} were added and {len(removed)} are "
            f"missing or cannot be read, such as {example}. Restore them, or remove {path} to draw a new split."
        )
    return [known[name] for name in names]


def write_split(folder: Path, names: Sequence[str], split: Sequence[Split]) -> None:
    """Write `split.csv`."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["path", "split"])
    writer.writerows(zip(names, split, strict=True))
    write_atomically(folder / FILE, text.getvalue().encode("utf-8", errors="surrogateescape"))
