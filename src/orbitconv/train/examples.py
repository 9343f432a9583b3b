"""Labelled images that are resident on the device, as bytes or as numbers."""

from dataclasses import dataclass
from typing import Union, final

import torch
from jaxtyping import Float, Int64, UInt8
from torch import Tensor

from orbitconv.data import ImageSet

Pixels = Union[UInt8[Tensor, "n c h w"], Float[Tensor, "n c h w"]]  # noqa: UP007


@final
@dataclass(frozen=True, eq=False)
class Examples:
    """Images and their classes.

    Args:
        images: Bytes, which stand for numbers from 0 to 1, or floating-point numbers as they are.
        labels: Class of each image.

    Raises:
        ValueError: If there is not one label for each image.
    """

    images: Pixels
    labels: Int64[Tensor, " n"]

    def __post_init__(self) -> None:
        if self.images.ndim != 4 or self.labels.shape != self.images.shape[:1]:
            raise ValueError(
                "Examples expects images of shape (n, channels, height, width) and a label for each, got images of "
                f"shape {tuple(self.images.shape)} and labels of shape {tuple(self.labels.shape)}."
            )

    @classmethod
    def of(cls, images: ImageSet) -> "Examples":
        """The images and labels of a data set.

        Args:
            images: The data set.

        Returns:
            Its images as bytes, and its labels.
        """
        return cls(images.images, images.labels)

    def __len__(self) -> int:
        return self.images.shape[0]

    def to(self, device: torch.device) -> "Examples":
        """The same examples on a device.

        Args:
            device: The device.

        Returns:
            Examples that share memory with these if they are there already.
        """
        return Examples(self.images.to(device), self.labels.to(device))


def as_numbers(images: Pixels, *, channels_last: bool = False) -> Float[Tensor, "n c h w"]:
    """Images as a network takes them.

    Args:
        images: Bytes or floating-point numbers.
        channels_last: Whether to lay the numbers of a pixel side by side, also for one channel, where torch's own
            conversion leaves strides that the layers after it do not take for that layout.

    Returns:
        Bytes divided by 255; numbers as they are.
    """
    numbers = images if images.is_floating_point() else images.float() / 255
    if not channels_last:
        return numbers
    return torch.empty_like(numbers, memory_format=torch.channels_last).copy_(numbers)
