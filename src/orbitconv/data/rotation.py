"""Rotated versions of a data set, made on the fly from a seed."""

import math
from dataclasses import dataclass, replace
from typing import final

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from orbitconv.data.image_set import ImageSet
from orbitconv.groups import rotate_images

TEST_SEED = 1
"""Seed of the random angles of test images: one for all networks and runs, so that their errors compare."""

CHUNK = 1000
"""Images that are rotated at a time."""


@final
@dataclass(frozen=True, eq=False, kw_only=True)
class RotatedImages:
    """Images, each turned by its own known angle.

    Args:
        images: Pixels from 0 to 1.
        labels: Class of each image.
        angles: Counter-clockwise turn of each image, in radians.
    """

    images: Float[Tensor, "n c h w"]
    labels: Int64[Tensor, " n"]
    angles: Float[Tensor, " n"]

    def __len__(self) -> int:
        return self.images.shape[0]


def rotated(image_set: ImageSet, seed: int = 0, *, degrees: float | int | None = None, order: int = 3) -> RotatedImages:
    """Turn every image about its centre, by a random or by one fixed angle.

    The angles are drawn on the CPU, uniformly from [0, 360) degrees, so a seed means the same angles on every
    machine and device. What comes in from outside the image is zero.

    Args:
        image_set: Upright images.
        seed: Seed of the random angles.
        degrees: One angle for all images instead, counter-clockwise; the seed is then unused.
        order: Order of the interpolating spline (3 is cubic).

    Returns:
        The turned images in float32, clipped to [0, 1] where the spline overshoots, with labels and angles.

    Raises:
        ValueError: If `degrees` is not finite.
    """
    if degrees is not None and not math.isfinite(degrees):
        raise ValueError(f"rotated expects a finite angle in degrees, got {degrees}.")
    images = torch.empty(image_set.images.shape, device=image_set.images.device)
    if degrees is None:
        turns = torch.rand(len(image_set), generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
        angles = (2 * math.pi * turns).to(images)
    else:
        angles = images.new_full((len(image_set),), math.radians(degrees))
    for start in range(0, len(image_set), CHUNK):
        part = slice(start, start + CHUNK)
        angle = math.radians(degrees) if degrees is not None else angles[part]
        turned = rotate_images(image_set.images[part].to(images) / 255, angle, order=order)
        images[part] = turned.clamp_(0, 1)
    return RotatedImages(images=images, labels=image_set.labels, angles=angles)


def rotated_set(image_set: ImageSet, seed: int = 0) -> ImageSet:
    """Rotate every image by its own random angle, as a data set rounded to bytes, with "rotated-" before the name."""
    turned = rotated(image_set, seed)
    return replace(image_set, images=(255 * turned.images).round().to(torch.uint8), name=f"rotated-{image_set.name}")
