"""Picture files as a torch `Dataset`: read when asked for, scaled, cut to windows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import final

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, Int64
from torch import Tensor
from torch.utils.data import Dataset

from orbitconv._support.progress import ProgressCallback, silent
from orbitconv.data.channels import with_channels
from orbitconv.data.errors import DataError, unreadable
from orbitconv.data.folders.decoded import DecodedPictures, decode
from orbitconv.data.folders.survey import read_mask, stamp_of
from orbitconv.data.formats import Pages, Picture, Region, read
from orbitconv.data.scaling import Scaling

Draw = tuple[int, int]
"""Number of a picture, and a seed for where its window lies."""


@dataclass(frozen=True, kw_only=True)
class Item:
    """One picture of a data set, by file and page; its stamp tells whether the file has changed since.

    The label is a class, or 0 and 1 for each class; empty for masks.
    """

    path: Path
    page: int
    height: int
    width: int
    stamp: tuple[int, int]
    label: int | tuple[int, ...] = ()
    mask: Path | None = None


@final
class PictureDataset(Dataset[tuple[Tensor, Tensor]]):
    """Pictures with labels or masks.

    Item `i` is (image, label): an image of 32-bit floats (channels, height, width); a label that is an int64 class, a
    float of 0 or 1 for each class, or an int64 mask (height, width).

    Args:
        items: The pictures.
        channels: Channels of the images.
        scaling: How numbers become floats.
        pages: What the pages of stacks are.
        size: Height and width that pictures are resized to, their largest middle part of these proportions; None for
            their own.
        window: Side of windows that pictures are cut to, at a random place; None for whole pictures. Smaller pictures
            are filled up with zeros, their masks with `ignore_index`.
        codes: Class of each number in the masks; None takes the numbers as they are.
        objects: Whether masks number objects: each number above 0 is of class 1.
        ignore_index: What stands in a mask where nothing is to be learned.
    """

    def __init__(
        self,
        items: Sequence[Item],
        *,
        channels: int,
        scaling: Scaling,
        pages: Pages = None,
        size: tuple[int, int] | None = None,
        window: int | None = None,
        codes: Mapping[int, int] | None = None,
        objects: bool = False,
        ignore_index: int = 255,
    ) -> None:
        self.items, self.channels, self.scaling = tuple(items), channels, scaling
        self.pages: Pages = pages
        self.size, self.window = size, window
        self.codes, self.objects, self.ignore_index = codes, objects, ignore_index
        self.decoded: DecodedPictures | None = None
        """Where decoded pictures are read from, item `i` being picture `first_decoded + i` there."""
        self.first_decoded = 0

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index: int | Draw) -> tuple[Float[Tensor, "c h w"], Tensor]:
        if isinstance(index, tuple):
            number, seed = index
            generator = torch.Generator().manual_seed(seed)
        else:
            number, generator = index, None  # torch's own generator, which a DataLoader seeds in each worker
        item = self.items[number]
        region = None if self.window is None else _window(item, self.window, generator)
        if self.scaling.rule == "file" and region is not None:  # its own range is that of the whole file
            picture = self.picture(number)
            image = self.scaling.floats(picture)[(slice(None), *region)]
            valid = None if picture.valid is None else picture.valid[region]
        else:
            picture = self.picture(number, region)
            image, valid = self.scaling.floats(picture), picture.valid
        if self.size is not None:
            image = fitted(image, self.size)
        if item.mask is None:
            multi = isinstance(item.label, tuple)
            label = torch.tensor(item.label, dtype=torch.float32 if multi else torch.int64)
        else:
            label = torch.from_numpy(self._classes(number, region))
            if valid is not None:
                label[~torch.from_numpy(valid)] = self.ignore_index
        if self.window is not None:
            right, below = self.window - image.shape[2], self.window - image.shape[1]
            image = F.pad(image, (0, right, 0, below))
            if item.mask is not None:
                label = F.pad(label, (0, right, 0, below), value=self.ignore_index)
        return image, label

    def picture(self, index: int, region: Region | None = None) -> Picture:
        """Read the numbers of a picture or of rows and columns of it, with the channels of the data set, not scaled.

        Raises:
            DataError: If the file changed since the folder was looked at, or cannot be read any more.
        """
        item = self.items[index]
        if self.decoded is not None:
            return self.decoded.picture(self.first_decoded + index, region)
        self._check_unchanged(item)
        picture = read(item.path, pages=self.pages, page=item.page, region=region)
        return with_channels(picture, self.channels, item.path)

    def numbered(self, index: int) -> Int64[Tensor, "h w"]:
        """Read the numbers of a whole mask as they are in its file: those of its objects, if it numbers some.

        Raises:
            ValueError: If there is no mask.
        """
        if self.items[index].mask is None:
            raise ValueError("PictureDataset.numbered expects pictures with masks, got labels.")
        return torch.from_numpy(self.numbers(index, None))

    def stacked(self, progress: ProgressCallback = silent) -> tuple[Float[Tensor, "n c h w"], Tensor]:
        """Read all images and labels into memory; for pictures of one size.

        Raises:
            ValueError: If images differ in size.
        """
        if self.shape is None:
            raise ValueError("PictureDataset.stacked expects pictures of one size, got several. Read them in batches.")
        images, labels = torch.empty(len(self), *self.shape), []
        for i in range(len(self)):
            images[i], label = self[i]
            labels.append(label)
            progress("read pictures", i + 1, len(self))
        return images, torch.stack(labels)

    @property
    def names(self) -> tuple[Path, ...]:
        """File of each picture."""
        return tuple(item.path for item in self.items)

    @property
    def labels(self) -> Tensor:
        """Class of each picture, or 0 and 1 for each class; without reading a file.

        Raises:
            ValueError: If there are masks.
        """
        if self.items and self.items[0].mask is not None:
            raise ValueError("PictureDataset.labels expects labels, got masks. Read them item by item.")
        return torch.tensor([item.label for item in self.items])

    @property
    def shape(self) -> tuple[int, int, int] | None:
        """Channels, height and width of all images; None if they differ."""
        if self.window is not None:
            return self.channels, self.window, self.window
        if self.size is not None:
            return self.channels, *self.size
        sizes = {(item.height, item.width) for item in self.items}
        return (self.channels, *sizes.pop()) if len(sizes) == 1 else None

    def numbers(self, index: int, region: Region | None = None) -> Int64[np.ndarray, "h w"]:
        """Read the numbers of a mask, or of rows and columns of it, as they are in its file."""
        item = self.items[index]
        if self.decoded is not None:
            return self.decoded.mask(self.first_decoded + index, region)
        assert item.mask is not None
        return read_mask(item.mask, pages=self.pages, page=item.page, region=region)

    def _classes(self, index: int, region: Region | None) -> Int64[np.ndarray, "h w"]:
        """The classes of a mask."""
        numbers = self.numbers(index, region)
        if self.objects:
            return (numbers > 0).astype(np.int64)
        if self.codes is None:
            return numbers
        classes = np.full(numbers.shape, -1, dtype=np.int64)
        for number, label in self.codes.items():
            classes[numbers == number] = label
        if (classes == -1).any():
            wrong = sorted(set(numbers[classes == -1].tolist()))[:5]
            raise DataError(f"{self.items[index].mask} changed: it holds the numbers {wrong}, which no class has.")
        return classes

    def _check_unchanged(self, item: Item) -> None:
        """Refuse a file that is another one now."""
        try:
            now = stamp_of(item.path)
        except OSError as error:
            raise unreadable(item.path, error) from error
        if now != item.stamp:
            raise DataError(f"{item.path} changed since the folder was looked at. Leave the folder as it is meanwhile.")


def decode_all(data: Sequence[PictureDataset], root: Path, progress: ProgressCallback) -> None:
    """Decode the pictures of data sets into one cache, and let them read from it."""
    facts, readers, first = [], [], 0
    for part in data:
        part.first_decoded, first = first, first + len(part)
        for i, item in enumerate(part.items):
            mask = None if item.mask is None else (str(item.mask.absolute()), stamp_of(item.mask))
            facts.append((str(item.path.absolute()), item.page, item.stamp, mask, part.channels, part.pages))
            readers.append((partial(part.picture, i), None if mask is None else partial(part.numbers, i)))
    decoded = decode(root, facts, readers, progress)
    for part in data:
        part.decoded = decoded


def fitted(image: Float[Tensor, "c h w"], size: tuple[int, int]) -> Float[Tensor, "c h2 w2"]:
    """Cut the largest middle part of the wanted proportions out of an image, and resize it.

    It stays as it is where that is its size already; else interpolation is bicubic, low-passed when it shrinks.
    """
    height, width = size
    rows = min(image.shape[1], max(1, round(image.shape[2] * height / width)))
    cols = min(image.shape[2], max(1, round(image.shape[1] * width / height)))
    top, left = (image.shape[1] - rows) // 2, (image.shape[2] - cols) // 2
    part = image[:, top : top + rows, left : left + cols]
    if (rows, cols) == size:
        return part
    return F.interpolate(part[None], size, mode="bicubic", antialias=True)[0]


def _window(item: Item, side: int, generator: torch.Generator | None) -> Region:
    """A window at a random place."""

    def place(length: int) -> slice:
        start = int(torch.randint(max(0, length - side) + 1, (), generator=generator))
        return slice(start, min(start + side, length))

    return place(item.height), place(item.width)
