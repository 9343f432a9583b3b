"""Small classifiers for small images: one for any basis, and its plain twin."""

import itertools
import math

from jaxtyping import Float
from torch import Tensor, nn

from orbitconv.bases import FilterBasis
from orbitconv.checks import check_positive
from orbitconv.nn import GroupBatchNorm2d, GroupConv2d, GroupMaxPool2d, GroupPool, LiftingConv2d

# Widths of the layers relative to the first, and the layers that a 2x2 max pool follows.
_SHAPE = (1, 1, 2, 2, 2)
_POOL_AFTER = (0, 2)


class SmallGroupCNN(nn.Module):
    """Five group convolutions with batch norm and ReLU, two max pools, a maximum over group and plane, a linear layer.

    Equivariant up to the last maximum and invariant after it, as far as the basis is; exactly so under quarter turns
    for sides divisible by four.

    Args:
        basis: Filter basis of every layer; it brings the group.
        width: Channels of the first two layers; the other three have twice as many.
        in_channels: Channels of the images.
        num_classes: Number of classes.

    Shapes:
        (batch, in_channels, height, width) -> (batch, num_classes)

    Raises:
        ValueError: If a count is below one.
    """

    def __init__(self, basis: FilterBasis, width: int, *, in_channels: int = 1, num_classes: int = 10) -> None:
        super().__init__()
        check_positive("SmallGroupCNN", width=width, in_channels=in_channels, num_classes=num_classes)
        padding = (basis.kernel_size[0] // 2, basis.kernel_size[1] // 2)
        layers: list[nn.Module] = []
        before = in_channels
        for index, multiple in enumerate(_SHAPE):
            after = multiple * width
            conv = GroupConv2d if index else LiftingConv2d
            layers += [conv(before, after, basis, padding=padding, bias=False), GroupBatchNorm2d(after), nn.ReLU()]
            if index in _POOL_AFTER:
                layers.append(GroupMaxPool2d(2))
            before = after
        self.features = nn.Sequential(*layers)
        self.pool = GroupPool("max")
        self.classify = nn.Linear(before, num_classes)

    def forward(self, x: Float[Tensor, "b i h w"]) -> Float[Tensor, "b k"]:
        """Class scores."""
        return self.classify(self.pool(self.features(x)).amax((2, 3)))


class SmallCNN(nn.Module):
    """The plain twin of SmallGroupCNN: the same layers, without a group.

    Args:
        width: Channels of the first two layers; the other three have twice as many.
        kernel_size: Side of the filters, in pixels.
        in_channels: Channels of the images.
        num_classes: Number of classes.

    Shapes:
        (batch, in_channels, height, width) -> (batch, num_classes)

    Raises:
        ValueError: If a count is below one.
    """

    def __init__(self, width: int, kernel_size: int = 3, *, in_channels: int = 1, num_classes: int = 10) -> None:
        super().__init__()
        check_positive("SmallCNN", width=width, kernel_size=kernel_size, in_channels=in_channels)
        layers: list[nn.Module] = []
        before = in_channels
        for index, multiple in enumerate(_SHAPE):
            after = multiple * width
            conv = nn.Conv2d(before, after, kernel_size, padding=kernel_size // 2, bias=False)
            layers += [conv, nn.BatchNorm2d(after), nn.ReLU()]
            if index in _POOL_AFTER:
                layers.append(nn.MaxPool2d(2))
            before = after
        self.features = nn.Sequential(*layers)
        self.classify = nn.Linear(before, num_classes)

    def forward(self, x: Float[Tensor, "b i h w"]) -> Float[Tensor, "b k"]:
        """Class scores."""
        return self.classify(self.features(x).amax((2, 3)))


def count_parameters(network: nn.Module) -> int:
    """Number of trainable parameters.

    Args:
        network: Any module.

    Returns:
        The count.
    """
    return sum(p.numel() for p in network.parameters() if p.requires_grad)


def width_for_parameters(basis: FilterBasis | None, kernel_size: int, budget: int) -> int:
    """Width that brings a small network nearest to a parameter budget.

    Args:
        basis: Basis of a SmallGroupCNN, or None for a SmallCNN.
        kernel_size: Side of the filters of a SmallCNN.
        budget: Wanted number of parameters.

    Returns:
        The width of the first layer, one or more.
    """
    per_pair = kernel_size**2 if basis is None else basis.group.order * basis.num_atoms
    per_lift = kernel_size**2 if basis is None else basis.num_atoms
    pairs = sum(before * after for before, after in itertools.pairwise(_SHAPE))
    # The first layer, scale and shift of the norms, and the linear layer for ten classes.
    per_width = per_lift + 2 * sum(_SHAPE) + 10 * _SHAPE[-1]

    def parameters(width: int) -> int:
        return pairs * per_pair * width**2 + per_width * width + 10

    return min(range(1, 2 + math.isqrt(budget)), key=lambda width: abs(parameters(width) - budget))
