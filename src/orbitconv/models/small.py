"""A small classifier for small images."""

from functools import partial
from typing import final

from torch import nn

from orbitconv._support.checks import Size2, check_positive
from orbitconv.models.classifier import Classifier, convolution_stack
from orbitconv.models.kernel_bases import BasisLike
from orbitconv.models.layers import Downsample, Layers, Mixing, PoolGroup
from orbitconv.models.width import Width, choose_width, stage_widths

_PROFILE = (1, 2)
_HALVE_AFTER = (0, 2)


@final
class SmallCNN(Classifier):
    """Five convolutions with batch norm and ReLU, planes halved after the first and third, a linear layer.

    The first two convolutions have `width` fields, the other three twice as many. A maximum over group and plane comes
    before the linear layer. Class scores are exactly invariant to quarter turns for sides divisible by four with
    `"max"`, one more than that with `"stride"`, any with `"blur"`.

    Args:
        basis: Basis, name of one that comes with the package, function of the kernel size; None for the plain twin.
        width: Fields of the first stage, or `"params"` or `"compute"`: as large as the plain twin.
        plain_width: Channels of the first stage of the plain twin; 22 make 50,000 parameters.
        kernel_size: Side of the filters; by default that of the basis, or 3.
        downsample: `"max"`, `"blur"` or `"stride"`.
        pool_group: How the group is pooled: `"max"`, `"mean"`, `"mean-max"`, `"bispectrum"` (cyclic groups) or
            `"triple-correlation"`; with `"none"` class scores are not invariant.
        mixing: How convolutions on the group mix its axis and fields: `"dense"`, or cheaper, `"full"` or `"separable"`.
        in_channels: Channels of the images.
        num_classes: Number of classes.

    Shapes:
        (batch, in_channels, height, width) -> (batch, num_classes)

    Raises:
        ValueError: If an option is out of range, or the basis has another kernel size.
    """

    def __init__(
        self,
        basis: BasisLike,
        *,
        width: Width = "params",
        plain_width: int = 22,
        kernel_size: Size2 | None = None,
        downsample: Downsample = "max",
        pool_group: PoolGroup = "max",
        mixing: Mixing = "dense",
        in_channels: int = 1,
        num_classes: int = 10,
    ) -> None:
        check_positive("SmallCNN", in_channels=in_channels, num_classes=num_classes)
        layers = Layers("SmallCNN", basis, kernel_size, mixing=mixing)
        make = partial(
            SmallCNN, downsample=downsample, pool_group=pool_group, in_channels=in_channels, num_classes=num_classes
        )
        width = choose_width(layers, width, plain_width, _PROFILE, make, (in_channels, 28, 28))
        narrow, wide = stage_widths(_PROFILE, width)
        stack = convolution_stack(
            layers,
            in_channels,
            (narrow, narrow, wide, wide, wide),
            halve_after=_HALVE_AFTER,
            downsample=downsample,
        )
        super().__init__(
            nn.Sequential(*stack),
            *layers.head(wide, num_classes, pool_group),
            width=width,
            plane="max",
        )
