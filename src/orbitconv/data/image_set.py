"""A labelled set of images in memory, as bytes, on any device."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import final

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int64, UInt8
from torch import Tensor

from orbitconv._support.checks import check_positive

LUMINANCE = (0.299, 0.587, 0.114)
"""Weights of red, green and blue in Rec. 601."""


@final
@dataclass(frozen=True, eq=False, kw_only=True)
class ImageSet:
    """Images and labels, stored as bytes so that a whole set is resident on the device.

    Args:
        images: Pixels from 0 to 255.
        labels: Class of each image, from 0 to `len(classes) - 1`.
        classes: Name of each class.
        name: Name of the data set.
        split: Which part of it this is.

    Raises:
        ValueError: If types, lengths or devices disagree, or a label has no class.
    """

    images: UInt8[Tensor, "n c h w"]
    labels: Int64[Tensor, " n"]
    classes: tuple[str, ...]
    name: str
    split: str

    def __post_init__(self) -> None:
        if self.images.dtype != torch.uint8 or self.images.ndim != 4:
            raise ValueError(
                "ImageSet expects images as uint8 of shape (n, channels, height, width), "
                f"got {self.images.dtype} of shape {tuple(self.images.shape)}."
            )
        if self.labels.dtype != torch.int64 or self.labels.shape != self.images.shape[:1]:
            raise ValueError(
                f"ImageSet expects one int64 label for each of {self.images.shape[0]} images, "
                f"got {self.labels.dtype} of shape {tuple(self.labels.shape)}."
            )
        if self.labels.device != self.images.device:
            raise ValueError(
                f"ImageSet expects images and labels on one device, got {self.images.device} and "
                f"{self.labels.device}. Move both first."
            )
        known = len(self) > 0 and not self.labels.is_meta
        if known and not 0 <= int(self.labels.min()) <= int(self.labels.max()) < len(self.classes):
            raise ValueError(
                f"ImageSet expects labels from 0 to {len(self.classes) - 1}, "
                f"got {int(self.labels.min())} to {int(self.labels.max())}."
            )

    def __len__(self) -> int:
        return self.images.shape[0]

    def floats(self, dtype: torch.dtype = torch.float32) -> Float[Tensor, "n c h w"]:
        """Return the images as numbers from 0 to 1, the pixels divided by 255."""
        return self.images.to(dtype) / 255

    def grey(self, dtype: torch.dtype = torch.float32) -> Float[Tensor, "n 1 h w"]:
        """Return the luminance of the images, from 0 to 1; grey images keep their values.

        One channel: 0.299 red + 0.587 green + 0.114 blue (Rec. 601).

        Raises:
            ValueError: If there are neither one nor three channels.
        """
        channels = self.images.shape[1]
        if channels == 1:
            return self.floats(dtype)
        if channels != 3:
            raise ValueError(f"ImageSet.grey expects one or three channels, got {channels}.")
        red, green, blue = (
            weight * self.images[:, [i]].to(dtype) for i, weight in enumerate(LUMINANCE)
        )  # one channel at a time, so that the whole set is never held as floats
        return (red + green + blue) / 255

    def to(self, device: torch.device | str) -> "ImageSet":
        """Return this set on `device`; it shares memory with this one if nothing had to move."""
        return replace(self, images=self.images.to(device), labels=self.labels.to(device))

    def inside_disc(self) -> "ImageSet":
        """Return the images with zero outside the largest disc, which no turn about the centre moves out of view.

        The name ends in "-disc".
        """
        height, width = self.images.shape[-2:]
        down = torch.arange(height, device=self.images.device) - (height - 1) / 2
        right = torch.arange(width, device=self.images.device) - (width - 1) / 2
        inside = torch.hypot(down[:, None], right) <= min(height, width) / 2
        return replace(self, images=self.images * inside, name=f"{self.name}-disc")

    def padded(self, pixels: int) -> "ImageSet":
        """Return the images inside a border of zeros; the name ends in "-padded"."""
        check_positive("ImageSet.padded", pixels=pixels)
        return replace(self, images=F.pad(self.images, (pixels,) * 4), name=f"{self.name}-padded")

    def take(self, n: int, seed: int | None = None) -> "ImageSet":
        """Return the first `n` images, or a random choice without repeats, the same from a seed on every machine.

        Raises:
            ValueError: If there are fewer than `n` images.
        """
        check_positive("ImageSet.take", n=n)
        if n > len(self):
            raise ValueError(
                f"ImageSet.take expects n <= {len(self)}, the images in {self.name} ({self.split}), got {n}."
            )
        if seed is None:
            return replace(self, images=self.images[:n], labels=self.labels[:n])
        return self._pick(_order(len(self), seed)[:n])

    def hold_out(self, validation: int, seed: int) -> "tuple[ImageSet, ImageSet]":
        """Split the set at random, the same from a seed on every machine, into training and validation.

        The held-out images have `split` set to `"validation"`.

        Raises:
            ValueError: If nothing would be left to train on.
        """
        check_positive("ImageSet.hold_out", validation=validation)
        if validation >= len(self):
            raise ValueError(
                f"ImageSet.hold_out expects validation < {len(self)}, the images in {self.name} "
                f"({self.split}), got {validation}."
            )
        order = _order(len(self), seed)
        return self._pick(order[validation:]), replace(self._pick(order[:validation]), split="validation")

    def batches(
        self, batch_size: int, *, shuffle_seed: int | None = None
    ) -> Iterator[tuple[UInt8[Tensor, "b c h w"], Int64[Tensor, " b"]]]:
        """Iterate once over (images, labels) in batches that are already on the device of the set.

        The last may be smaller.

        They come in order, or in a random one, the same from a seed on every machine.
        """
        check_positive("ImageSet.batches", batch_size=batch_size)
        if shuffle_seed is None:
            return zip(self.images.split(batch_size), self.labels.split(batch_size), strict=True)
        order = _order(len(self), shuffle_seed).to(self.images.device)
        return ((self.images[index], self.labels[index]) for index in order.split(batch_size))

    def _pick(self, index: Int64[Tensor, " m"]) -> "ImageSet":
        index = index.to(self.images.device)
        return replace(self, images=self.images[index], labels=self.labels[index])


def _order(n: int, seed: int) -> Int64[Tensor, " n"]:
    """A random permutation of `n`, drawn on the CPU so that it is equal on every device."""
    return torch.randperm(n, generator=torch.Generator().manual_seed(seed))
