"""Atomic installation of downloaded files into the cache folder."""

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from orbitconv._support.locks import lock


@contextmanager
def locked(root: Path, name: str) -> Iterator[None]:
    """Let one process at a time download a data set; without lock support two may both download."""
    root.mkdir(parents=True, exist_ok=True)
    with lock(root / f".{name}.lock", wait=True):
        yield


def install(staging: Path, folder: Path, names: Iterable[str]) -> None:
    """Move complete files into place, each by one atomic rename on the same file system."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        with (staging / name).open("rb+") as file:
            os.fsync(file.fileno())
        (staging / name).replace(folder / name)
