"""Pixel order: a fixed random permutation of pixels, and images that are shifted or cropped."""

from typing import Literal

import torch
from jaxtyping import Float, Int64
from torch import Tensor

Fill = Literal["cyclic", "zero"]
"""What fills the gap after a shift: the opposite edge (cyclic), or zeros."""


def pixel_order(num_features: int, seed: int | None) -> Int64[Tensor, " p"]:
    """The order of features: position i holds feature `order[i]`."""
    if seed is None:
        return torch.arange(num_features)
    return torch.randperm(num_features, generator=torch.Generator().manual_seed(seed))


def shift(images: Float[Tensor, "... h w"], axis: int, fill: Fill = "cyclic") -> Float[Tensor, "... h w"]:
    """Shift images by one pixel."""
    shifted = images.roll(1, axis - 2)
    if fill == "zero":
        shifted.select(axis - 2, 0).zero_()
    return shifted


def pick(
    images: Float[Tensor, "n c h w"], rows: Int64[Tensor, "n r"], cols: Int64[Tensor, "n s"]
) -> Float[Tensor, "n c r s"]:
    """From each image, its own rows and columns."""
    count, channels = (torch.arange(size) for size in images.shape[:2])
    return images[count[:, None, None, None], channels[:, None, None], rows[:, None, :, None], cols[:, None, None, :]]
