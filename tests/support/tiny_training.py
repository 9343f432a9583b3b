"""A data set and networks small enough to be trained in a moment, for the command line and for Python.

As a script it is the command line, with the data set "tiny" and the network "tiny".
"""

import sys
from contextlib import contextmanager

import pytest
import torch
from torch import nn

from orbitconv.data import ImageSet
from orbitconv.models import MODELS
from orbitconv.nn import GroupBatchNorm2d
from orbitconv.train import Examples
from orbitconv.train.datasets import LOADERS

SIDE = 8


def tiny_images(split="train", n=64, **_):
    """Bright left halves and bright right halves, with noise."""
    labels = torch.arange(n) % 2
    noise = torch.Generator().manual_seed(len(split))
    images = torch.randint(0, 100, (n, 1, SIDE, SIDE), dtype=torch.uint8, generator=noise)
    images[labels == 0, ..., : SIDE // 2] += 60
    images[labels == 1, ..., SIDE // 2 :] += 60
    return ImageSet(images=images, labels=labels, classes=("left", "right"), name="tiny", split=split)


def tiny_examples(split="train", n=64):
    return Examples.of(tiny_images(split, n))


class TinyCNN(nn.Module):
    """Both kinds of batch norm, and dropout if wanted.

    No bias before a norm: its gradient is rounding alone, which Adam makes steps of, and running means follow late.
    """

    def __init__(self, _=None, *, dropout=0.0, in_channels=1, num_classes=2):
        super().__init__()
        self.first = nn.Sequential(nn.Conv2d(in_channels, 8, 3, bias=False), nn.BatchNorm2d(8), nn.ReLU())
        self.norm = GroupBatchNorm2d(2)
        self.last = nn.Sequential(nn.Dropout(dropout), nn.Linear(8, num_classes))

    def forward(self, x):
        planes = self.norm(self.first(x).unflatten(1, (2, 4))).flatten(1, 2)
        return self.last(planes.relu().amax((2, 3)))


@contextmanager
def tiny_by_name():
    """Let the command line find them by the name "tiny"."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(LOADERS, "tiny", tiny_images)
        patch.setitem(MODELS, "tiny", TinyCNN)
        yield


if __name__ == "__main__":
    torch.set_num_threads(1)
    from orbitconv.cli import main

    with tiny_by_name():
        main(sys.argv[1:])
