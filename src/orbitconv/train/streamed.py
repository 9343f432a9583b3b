"""Images that are read on demand: from picture files, or from any torch data set or loader."""

from collections.abc import Iterable, Iterator, Sized
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, final

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from orbitconv.data.batches import TestBatches, TrainBatches
from orbitconv.data.folders.picture_dataset import PictureDataset
from orbitconv.train.examples import Batch, Source

_TEST_IMAGES = 32


@final
@dataclass(frozen=True, eq=False, kw_only=True)
class Streamed(Source):
    """A data set of torch, item by item: of images (channels, height, width) and labels; workers read it.

    A `PictureDataset` draws its windows as a function of seed, epoch and step; what others draw comes from torch's
    generator. With weights, images are drawn by them; without, each comes once an epoch.
    """

    data: Dataset[Any]
    workers: int = 0
    weights: Tensor | None = None
    device: torch.device = field(default_factory=partial(torch.device, "cpu"))

    def __len__(self) -> int:
        assert isinstance(self.data, Sized)
        return len(self.data)

    def to(self, device: torch.device) -> "Streamed":
        """The same images, which will be on a device."""
        return replace(self, device=device)

    def epochs(
        self, batch_size: int, *, seed: int, epoch: int, first_step: int, rank: int, world_size: int
    ) -> Iterator[Iterable[Batch]]:
        """Batches of each epoch, without end; see `TrainBatches`."""
        order = TrainBatches(
            len(self), batch_size, seed=seed, epoch=epoch, first_step=first_step, rank=rank, world_size=world_size,
            weights=self.weights,
        )  # fmt: skip
        data = self.data if isinstance(self.data, PictureDataset) else _Numbered(self.data)
        loader = self._loader(data, order)
        while True:
            yield self._moved(loader)

    def batches(self, rank: int, world_size: int) -> Iterator[Batch]:
        """All images once, in order; one at a time where they may differ in size."""
        one_size = isinstance(self.data, PictureDataset) and self.data.shape is not None
        order = TestBatches(len(self), _TEST_IMAGES if one_size else 1, rank=rank, world_size=world_size)
        return self._moved(self._loader(self.data, order))

    def _loader(self, data: Dataset[Any], order: TrainBatches | TestBatches) -> DataLoader[Any]:
        keep = bool(self.workers) and isinstance(order, TrainBatches)
        pinned = self.device.type == "cuda"
        return DataLoader(
            data, batch_sampler=order, num_workers=self.workers, pin_memory=pinned, persistent_workers=keep
        )

    def _moved(self, batches: Iterable[tuple[Tensor, Tensor]]) -> Iterator[Batch]:
        for images, labels in batches:
            yield images.to(self.device, non_blocking=True), labels.to(self.device, non_blocking=True)


@final
class _Numbered(Dataset[Any]):
    """A data set that is indexed by integers only."""

    def __init__(self, data: Dataset[Any]) -> None:
        self._data = data

    def __getitem__(self, draw: tuple[int, int]) -> Any:
        return self._data[draw[0]]


@final
@dataclass(frozen=True, eq=False, kw_only=True)
class Loaded(Source):
    """A `DataLoader` of one's own: its order, its workers, whatever it draws; for one process.

    It gives (images, labels); for training in batches of one size, with `drop_last`.
    """

    loader: DataLoader[Any]
    device: torch.device = field(default_factory=partial(torch.device, "cpu"))

    def __len__(self) -> int:
        batch_size = self.loader.batch_size
        if batch_size is None:
            raise ValueError("fit expects a DataLoader with a batch size of its own, got one with a batch sampler.")
        return len(self.loader) * batch_size

    def to(self, device: torch.device) -> "Loaded":
        """The same images, which will be on a device."""
        return replace(self, device=device)

    def epochs(
        self, batch_size: int, *, seed: int, epoch: int, first_step: int, rank: int, world_size: int
    ) -> Iterator[Iterable[Batch]]:
        """Batches of each epoch, as the loader gives them."""
        del batch_size, seed, epoch, rank
        if world_size > 1 or first_step:
            raise ValueError("fit takes a DataLoader in one process, from the start of an epoch. Give its data set.")
        while True:
            yield self.batches(0, 1)

    def batches(self, rank: int, world_size: int) -> Iterator[Batch]:
        """All images once, as the loader gives them."""
        del rank
        if world_size > 1:
            raise ValueError("fit takes a DataLoader in one process. Give its data set.")
        for images, labels in self.loader:
            yield images.to(self.device), labels.to(self.device)
