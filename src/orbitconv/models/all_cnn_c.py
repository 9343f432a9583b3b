"""All-CNN-C: convolutions all the way, for 32x32 images."""

from functools import partial
from typing import final

from torch import nn

from orbitconv._support.checks import Size2, check_positive
from orbitconv.models.classifier import Classifier, convolution_stack
from orbitconv.models.kernel_bases import BasisLike
from orbitconv.models.layers import Downsample, Layers, Mixing, PoolGroup
from orbitconv.models.width import Width, choose_width, stage_widths

_PROFILE = (96, 192)
_HALVE_AFTER = (2, 5)


@final
class AllCNNC(Classifier):
    """Seven 3x3 and two 1x1 convolutions with batch norm and ReLU, planes halved after the third and sixth.

    The plain network has 96 channels in the first three convolutions and 192 in the others; C8 with nine atoms has 34
    and 68 fields for as many parameters (33 and 67 in the second source: `width=33.4`). After them come a pool over
    the group, a mean over the plane and a linear layer. With `"stride"`, the third and the sixth convolution have
    stride 2 themselves, as in the original. Class scores are exactly invariant to quarter turns for sides divisible by
    four with `"max"`, one more than that with `"stride"`, any with `"blur"`.

    The options are those of `SmallCNN`.

    Shapes:
        (batch, in_channels, height, width) -> (batch, num_classes)

    Raises:
        ValueError: If an option is out of range, or the basis has another kernel size.

    Source: Springenberg et al. (2015), Striving for simplicity, section 3; Diaconu & Worrall (2019), section 5.
    """

    def __init__(
        self,
        basis: BasisLike,
        *,
        width: Width = "params",
        plain_width: int = 96,
        kernel_size: Size2 | None = None,
        downsample: Downsample = "max",
        pool_group: PoolGroup = "max",
        mixing: Mixing = "dense",
        in_channels: int = 3,
        num_classes: int = 10,
    ) -> None:
        check_positive("AllCNNC", in_channels=in_channels, num_classes=num_classes)
        layers = Layers("AllCNNC", basis, kernel_size, mixing=mixing)
        make = partial(
            AllCNNC, downsample=downsample, pool_group=pool_group, in_channels=in_channels, num_classes=num_classes
        )
        width = choose_width(layers, width, plain_width, _PROFILE, make, (in_channels, 32, 32))
        narrow, wide = stage_widths(_PROFILE, width)
        stack = convolution_stack(
            layers, in_channels, (narrow,) * 3 + (wide,) * 4, halve_after=_HALVE_AFTER, downsample=downsample
        )
        for _ in range(2):
            stack += layers.unit(layers.conv(wide, wide, 1))
        super().__init__(nn.Sequential(*stack), *layers.head(wide, num_classes, pool_group), width=width)
