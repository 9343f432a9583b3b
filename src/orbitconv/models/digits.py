"""Networks for small grey images: one ignores where pixels are, one has learned it, one is built on it.

All take images of shape (batch, 1, height, width). Only the CNN asks which pixel is whose neighbour; to the others the
shape is a way to write a list.
"""

from collections.abc import Sequence
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from orbitconv._support.checks import check_positive
from orbitconv.nn import OrbitLinear

CHANNELS = (16, 32, 64)
"""Channels of the three layers of `digit_cnn` and `digit_orbit_cnn`."""

KERNEL = 5
"""Side of the first layer's filters, in pixels."""


def digit_mlp(num_pixels: int = 784, width: int = 512, *, dropout: float = 0.3, num_classes: int = 10) -> nn.Sequential:
    """Two hidden layers with batch norm, ReLU and dropout."""
    check_positive("digit_mlp", num_pixels=num_pixels, width=width, num_classes=num_classes)
    layers: list[nn.Module] = [nn.Flatten()]
    for before in (num_pixels, width):
        layers += [nn.Linear(before, width, bias=False), nn.BatchNorm1d(width), nn.ReLU(), nn.Dropout(dropout)]
    return nn.Sequential(*layers, nn.Linear(width, num_classes))


def digit_cnn(side: int = 28, *, dropout: float = 0.5, num_classes: int = 10) -> nn.Sequential:
    """Three convolutions, 5x5, 3x3 and 3x3, with zero padding."""
    first = nn.Conv2d(1, CHANNELS[0], KERNEL, padding=KERNEL // 2, bias=False)
    return _with_trunk(first, (side, side), "zeros", dropout, num_classes)


def digit_orbit_cnn(
    generators: Float[Tensor, "2 p p"],
    orders: Sequence[int],
    seed: int | Float[Tensor, " p"] = 0,
    *,
    dropout: float = 0.5,
    num_classes: int = 10,
) -> nn.Sequential:
    """The same network with learned translations in place of the pixel grid.

    The first layer ties its weights by the group of two commuting orthogonal matrices, as `orbitconv.learn.close_group`
    returns them, of orders divisible by four, and puts its output on the group's axes, by the orbit of the seed: a
    pixel or a vector of norm one. After it, ordinary layers apply. Padding is circular throughout, because the axes of
    a closed group are.
    """
    first = OrbitLinear(
        1, CHANNELS[0], generators, orders, kernel_size=KERNEL, seed=seed, bias=False, dtype=torch.float32
    )
    return _with_trunk(first, tuple(orders), "circular", dropout, num_classes)


def _with_trunk(
    first: nn.Module,
    sides: tuple[int, ...],
    padding_mode: Literal["zeros", "circular"],
    dropout: float,
    num_classes: int,
) -> nn.Sequential:
    """All that follows the first layer: two more convolutions, two max pools, a linear layer."""
    if len(sides) != 2 or any(side < 4 or side % 4 for side in sides):
        raise ValueError(
            f"A network for digits expects two sides divisible by four, for its two max pools, got {sides}."
        )
    check_positive("digit_cnn", num_classes=num_classes)
    a, b, c = CHANNELS
    network = nn.Sequential(
        first, nn.MaxPool2d(2), nn.BatchNorm2d(a), nn.ReLU(),
        nn.Conv2d(a, b, 3, padding=1, padding_mode=padding_mode, bias=False), nn.MaxPool2d(2), nn.BatchNorm2d(b),
        nn.ReLU(),
        nn.Conv2d(b, c, 3, padding=1, padding_mode=padding_mode, bias=False), nn.BatchNorm2d(c), nn.ReLU(),
        nn.Flatten(), nn.Dropout(dropout), nn.Linear(c * sides[0] * sides[1] // 16, num_classes),
    )  # fmt: skip
    for weight in network.parameters():  # channels last: a third faster on CPUs
        if weight.ndim == 4:
            weight.data = weight.data.contiguous(memory_format=torch.channels_last)
    return network
