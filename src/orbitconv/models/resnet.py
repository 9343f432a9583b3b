"""Residual networks for 32x32 images."""

from functools import partial
from numbers import Integral
from typing import final

from jaxtyping import Float
from torch import Tensor, nn

from orbitconv._support.checks import Size2, check_positive
from orbitconv.models.classifier import Classifier
from orbitconv.models.kernel_bases import BasisLike
from orbitconv.models.layers import Downsample, Layers, Mixing, PoolGroup
from orbitconv.models.width import Width, choose_width, stage_widths

# Blocks of every stage, for the depths with four stages; other depths have three.
_FOUR_STAGES = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3)}


@final
class ResNet(Classifier):
    """A 3x3 convolution, three or four stages of basic blocks, a linear layer.

    Depths 18 and 34 have four stages, whose plain widths are 64, 128, 256, 512; depths 6n + 2 (20, 32, 44, 56, 110)
    have three of n blocks, of 16, 32, 64. Every stage but the first halves the planes. Shortcuts there are 1x1
    convolutions. After the stages come a pool over the group, a mean over the plane and the linear layer. Class scores
    are exactly invariant to quarter turns for sides of any size with `"blur"`; with `"max"` for those divisible by 4
    (by 8 with four stages), with `"stride"` for one more than that.

    The other options are those of `SmallCNN`.

    Args:
        depth: Number of layers: 18, 34, or 6n + 2.
        plain_width: Channels of the first stage of the plain twin; by default 64 or 16, see above.

    Shapes:
        (batch, in_channels, height, width) -> (batch, num_classes)

    Raises:
        ValueError: If an option is out of range, or the basis has another kernel size.

    Source: He et al. (2016), Deep residual learning, section 4.2.
    """

    def __init__(
        self,
        basis: BasisLike,
        *,
        depth: int = 18,
        width: Width = "params",
        plain_width: int | None = None,
        kernel_size: Size2 | None = None,
        downsample: Downsample = "blur",
        pool_group: PoolGroup = "max",
        mixing: Mixing = "dense",
        in_channels: int = 3,
        num_classes: int = 10,
    ) -> None:
        check_positive("ResNet", in_channels=in_channels, num_classes=num_classes)
        blocks, usual_width = _stages(depth)
        profile = tuple(2**stage for stage in range(len(blocks)))
        plain_width = usual_width if plain_width is None else plain_width
        layers = Layers("ResNet", basis, kernel_size, odd=True, mixing=mixing)
        make = partial(
            ResNet,
            depth=depth,
            downsample=downsample,
            pool_group=pool_group,
            in_channels=in_channels,
            num_classes=num_classes,
        )
        width = choose_width(layers, width, plain_width, profile, make, (in_channels, 32, 32))
        fields = stage_widths(profile, width)
        before = fields[0]
        stack = layers.unit(layers.lift(in_channels, before))
        for stage, (after, count) in enumerate(zip(fields, blocks, strict=True)):
            for index in range(count):
                stack.append(BasicBlock(layers, before, after, downsample if stage and not index else None))
                before = after
        super().__init__(nn.Sequential(*stack), *layers.head(before, num_classes, pool_group), width=width)


@final
class BasicBlock(nn.Module):
    """Two convolutions around which a shortcut leads; `downsample` says how to halve the planes, None to keep them.

    Shapes:
        (batch, before, [group,] height, width) -> (batch, after, [group,] height', width')
    """

    def __init__(self, layers: Layers, before: int, after: int, downsample: Downsample | None = None) -> None:
        super().__init__()
        stride = layers.stride(downsample)
        self.residual = nn.Sequential(
            *layers.unit(layers.conv(before, after, stride=stride)),
            *layers.halve(downsample),
            layers.conv(after, after),
            layers.norm(after),
        )
        self.shortcut = nn.Identity()
        if before != after or downsample is not None:
            straight = layers.conv(before, after, 1, stride=stride)
            self.shortcut = nn.Sequential(*layers.halve(downsample), straight, layers.norm(after))
        self.activate = nn.ReLU()

    def forward(self, x: Float[Tensor, "b i *rest"]) -> Float[Tensor, "b o *rest2"]:
        """Add the residual to the shortcut."""
        return self.activate(self.residual(x) + self.shortcut(x))


def _stages(depth: int) -> tuple[tuple[int, ...], int]:
    """Blocks of every stage, and the published width of the first."""
    if depth in _FOUR_STAGES:
        return _FOUR_STAGES[depth], 64
    if not isinstance(depth, Integral) or depth < 8 or (depth - 2) % 6:
        raise ValueError(f"ResNet expects depth 18, 34, or 6n + 2 as 20, 32, 44, 56, 110 are, got {depth!r}.")
    return ((depth - 2) // 6,) * 3, 16
