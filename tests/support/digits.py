"""Small stand-ins for MNIST: bright blobs of 8x8 pixels in ten kinds."""

import torch

from orbitconv.data import ImageSet

SIDE = 8


def small_digits(n, split="train"):
    generator = torch.Generator().manual_seed(len(split))
    labels = torch.randint(0, 10, (n,), generator=generator)
    kinds = torch.rand(10, 1, SIDE, SIDE, generator=torch.Generator().manual_seed(7))
    images = kinds[labels] * torch.rand(n, 1, SIDE, SIDE, generator=generator)
    return ImageSet(
        images=(255 * images).round().to(torch.uint8), labels=labels, classes=tuple("0123456789"), name="mnist",
        split=split,
    )  # fmt: skip


def load_small_digits(name, split, **_):
    return small_digits(400 if split == "train" else 50, split)
