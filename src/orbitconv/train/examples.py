"""Labelled images that are resident on the device, as bytes or as numbers."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol, Self, Union, final

import torch
from jaxtyping import Float, Shaped, UInt8
from torch import Tensor

from orbitconv.data import ImageSet
from orbitconv.data.batches import epoch_orders, share

Pixels = Union[UInt8[Tensor, "n c h w"], Float[Tensor, "n c h w"]]  # noqa: UP007
Batch = tuple[Pixels, Tensor]
"""Images and their labels, on the device: a process' share of a batch."""

_TEST_IMAGES, _TEST_PIXELS = 500, 1 << 22
"""Images, and pixels, that are tested on at a time."""


class Source(Protocol):
    """Where training and tests take images from: memory, or files that are read on demand."""

    def __len__(self) -> int:
        """Number of images."""
        ...

    def to(self, device: torch.device) -> Self:
        """The same images, which will be on a device."""
        ...

    def epochs(
        self, batch_size: int, *, seed: int, epoch: int, first_step: int, rank: int, world_size: int
    ) -> Iterator[Iterable[Batch]]:
        """Batches of each epoch, without end: a process' shares of the whole batches of `batch_size` images."""
        ...

    def batches(self, rank: int, world_size: int) -> Iterator[Batch]:
        """All images once, in order: a process' share of them."""
        ...


@final
@dataclass(frozen=True, eq=False)
class Examples:
    """Images with labels.

    Args:
        images: Bytes, which stand for numbers from 0 to 1, or floating-point numbers as they are.
        labels: Class of each image, or whatever else the task takes: 0 or 1 for each class, or a mask.

    Raises:
        ValueError: If there is not one label for each image.
    """

    images: Pixels
    labels: Shaped[Tensor, "n ..."]

    def __post_init__(self) -> None:
        if self.images.ndim != 4 or self.labels.shape[:1] != self.images.shape[:1]:
            raise ValueError(
                "Examples expects images of shape (n, channels, height, width) and a label for each, got images of "
                f"shape {tuple(self.images.shape)} and labels of shape {tuple(self.labels.shape)}."
            )

    @classmethod
    def of(cls, images: ImageSet) -> "Examples":
        """The images, as bytes, and labels of a data set."""
        return cls(images.images, images.labels)

    def __len__(self) -> int:
        return self.images.shape[0]

    def to(self, device: torch.device) -> "Examples":
        """The same examples on a device; they share memory with these if they are there already."""
        return Examples(self.images.to(device), self.labels.to(device))

    def epochs(
        self, batch_size: int, *, seed: int, epoch: int, first_step: int, rank: int, world_size: int
    ) -> Iterator[Iterable[Batch]]:
        """Batches of each epoch, without end, counted over all processes; a smaller rest of an epoch is left out.

        The first epoch, from 0, begins at a step of it; later ones at 0.
        """
        part = share(batch_size, rank, world_size)
        for order in epoch_orders(len(self), seed, epoch):
            yield self._epoch(order, batch_size, first_step, part)
            first_step = 0

    def _epoch(self, order: Tensor, batch_size: int, first_step: int, part: slice) -> Iterator[Batch]:
        """The batches of one epoch."""
        index = order.to(self.images.device).split(batch_size)
        for one in index[first_step : len(order) // batch_size]:
            yield self.images[one[part]], self.labels[one[part]]

    def batches(self, rank: int, world_size: int) -> Iterator[Batch]:
        """All images once, in order: those of this process' share, some at a time."""
        part = share(len(self), rank, world_size)
        pixels = max(1, self.images.shape[-1] * self.images.shape[-2])
        size = max(1, min(_TEST_IMAGES, _TEST_PIXELS // pixels))
        yield from zip(self.images[part].split(size), self.labels[part].split(size), strict=True)


def as_numbers(images: Pixels, *, channels_last: bool = False) -> Float[Tensor, "n c h w"]:
    """Images as a network takes them: bytes divided by 255, numbers as they are.

    Channels last also for one channel, where torch's own conversion leaves strides that the layers after it do not take
    for that layout.
    """
    numbers = images if images.is_floating_point() else images.float() / 255
    if not channels_last:
        return numbers
    return torch.empty_like(numbers, memory_format=torch.channels_last).copy_(numbers)
