"""The network of Cohen & Welling for rotated MNIST: P4CNN on a group, Z2CNN without."""

from functools import partial
from typing import Literal, final

from torch import nn

from orbitconv._support.checks import Size2, as_pair, check_positive
from orbitconv.models.classifier import Classifier, convolution_stack
from orbitconv.models.kernel_bases import BasisLike
from orbitconv.models.layers import Downsample, Layers, Mixing
from orbitconv.models.width import Width, choose_width, stage_widths

_PROFILE = (1,)
_DEPTH = 6


@final
class P4CNN(Classifier):
    """Six 3x3 convolutions without padding and a last one, 4x4, to the classes; planes halved after the second.

    Batch norm, ReLU and dropout follow each of the six. A 28x28 image arrives at the last convolution with 4x4 pixels
    and leaves it with one; larger images leave it with more, and their scores are the mean over the plane. Kernels
    larger than 3x3 get the padding that keeps the planes as large as in the original. The plain network, Z2CNN, has 20
    channels; P4CNN is that of C4 with `width=10`. Class scores are exactly invariant to quarter turns for even sides
    with `"max"`, odd ones with `"stride"`, any with `"blur"`.

    The other options are those of `SmallCNN`, for every layer.

    Args:
        basis: Basis, name of one that comes with the package, function of the kernel size; None for the plain twin.
            The original needs a function, as it has two kernel sizes: `functools.partial(ExactBasis, Cyclic(4))`.
        last_kernel_size: Side of the filters of the last convolution. With that of `kernel_size`, one basis will do.
        dropout: Share of the fields that is left out in training.
        pool_group: How the group is pooled, `"max"` or `"mean"`.

    Shapes:
        (batch, in_channels, height, width) -> (batch, num_classes)

    Raises:
        ValueError: If an option is out of range, or there is no basis of a kernel size.

    Source: Cohen & Welling (2016), Group equivariant convolutional networks, section 8.1.
    """

    def __init__(
        self,
        basis: BasisLike,
        *,
        width: Width = "params",
        plain_width: int = 20,
        kernel_size: Size2 | None = None,
        last_kernel_size: Size2 = 4,
        dropout: float = 0.3,
        downsample: Downsample = "max",
        pool_group: Literal["max", "mean"] = "max",
        mixing: Mixing = "dense",
        in_channels: int = 1,
        num_classes: int = 10,
    ) -> None:
        check_positive("P4CNN", in_channels=in_channels, num_classes=num_classes)
        last_kernel_size = as_pair("P4CNN", "last_kernel_size", last_kernel_size)
        layers = Layers("P4CNN", basis, kernel_size, also=(last_kernel_size,), mixing=mixing)
        make = partial(
            P4CNN,
            last_kernel_size=last_kernel_size,
            dropout=dropout,
            downsample=downsample,
            pool_group=pool_group,
            in_channels=in_channels,
            num_classes=num_classes,
        )
        width = choose_width(layers, width, plain_width, _PROFILE, make, (in_channels, 28, 28))
        (fields,) = stage_widths(_PROFILE, width)
        stack = convolution_stack(
            layers,
            in_channels,
            (fields,) * _DEPTH,
            halve_after=(1,),
            downsample=downsample,
            padding=_padding(layers.kernel_size),
            dropout=dropout,
        )
        size = layers.bases.as_size(last_kernel_size)
        stack.append(layers.conv(fields, num_classes, size, padding=_padding(size), bias=True))
        super().__init__(nn.Sequential(*stack), layers.pool_group(pool_group), nn.Identity(), width=width)


def _padding(size: tuple[int, int]) -> tuple[int, int]:
    """Padding that lets a kernel leave planes as large as one of 3x3 or 4x4 does without."""
    return max(0, (size[0] - 3) // 2), max(0, (size[1] - 3) // 2)
