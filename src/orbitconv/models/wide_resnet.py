"""Wide residual networks for 32x32 images."""

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


@final
class WideResNet(Classifier):
    """A 3x3 convolution, three stages of wide blocks with the norm before the convolution, a linear layer.

    The plain network has 16 channels, then 16, 32, 64 times `widen`. The last two stages halve the planes. After the
    stages come batch norm and ReLU, a pool over the group, a mean over the plane and the linear layer. Class scores
    are exactly invariant to quarter turns for sides of any size with `"blur"`; with `"max"` for those divisible by
    four, with `"stride"` for one more than that.

    The other options are those of `SmallCNN`.

    Args:
        depth: Number of layers, 6n + 4.
        widen: How much wider than the first convolution the first stage is.
        dropout: Share of the fields between the convolutions of a block that is left out in training.
        width: Fields of the first convolution, or `"params"` or `"compute"`: as large as the plain twin.
        plain_width: Channels of the first convolution of the plain twin.

    Shapes:
        (batch, in_channels, height, width) -> (batch, num_classes)

    Raises:
        ValueError: If an option is out of range, or the basis has another kernel size.

    Source: Zagoruyko & Komodakis (2016), Wide residual networks.
    """

    def __init__(
        self,
        basis: BasisLike,
        *,
        depth: int = 28,
        widen: int = 10,
        dropout: float = 0.3,
        width: Width = "params",
        plain_width: int = 16,
        kernel_size: Size2 | None = None,
        downsample: Downsample = "blur",
        pool_group: PoolGroup = "max",
        mixing: Mixing = "dense",
        in_channels: int = 3,
        num_classes: int = 10,
    ) -> None:
        check_positive("WideResNet", widen=widen, in_channels=in_channels, num_classes=num_classes)
        if not isinstance(depth, Integral) or depth < 10 or (depth - 4) % 6:
            raise ValueError(f"WideResNet expects depth 6n + 4, as 10, 16, 22, 28, 40 are, got {depth!r}.")
        layers = Layers("WideResNet", basis, kernel_size, odd=True, mixing=mixing)
        profile = (1, widen, 2 * widen, 4 * widen)
        make = partial(
            WideResNet,
            depth=depth,
            widen=widen,
            dropout=dropout,
            downsample=downsample,
            pool_group=pool_group,
            in_channels=in_channels,
            num_classes=num_classes,
        )
        width = choose_width(layers, width, plain_width, profile, make, (in_channels, 32, 32))
        before, *fields = stage_widths(profile, width)
        stack: list[nn.Module] = [layers.lift(in_channels, before)]
        for stage, after in enumerate(fields):
            for index in range((depth - 4) // 6):
                stack.append(WideBlock(layers, before, after, dropout, downsample if stage and not index else None))
                before = after
        stack += [layers.norm(before), nn.ReLU()]
        super().__init__(nn.Sequential(*stack), *layers.head(before, num_classes, pool_group), width=width)


@final
class WideBlock(nn.Module):
    """Norm and ReLU, then two convolutions around which a shortcut leads, with dropout of fields between them.

    `downsample` says how to halve the planes, None to keep them.

    Shapes:
        (batch, before, [group,] height, width) -> (batch, after, [group,] height', width')
    """

    def __init__(
        self, layers: Layers, before: int, after: int, dropout: float, downsample: Downsample | None = None
    ) -> None:
        super().__init__()
        stride = layers.stride(downsample)
        self.activate = nn.Sequential(layers.norm(before), nn.ReLU())
        self.residual = nn.Sequential(
            *layers.unit(layers.conv(before, after, stride=stride)),
            *layers.halve(downsample),
            layers.dropout(dropout),
            layers.conv(after, after),
        )
        self.shortcut = None
        if before != after or downsample is not None:
            straight = layers.conv(before, after, 1, stride=stride)
            self.shortcut = nn.Sequential(*layers.halve(downsample), straight)

    def forward(self, x: Float[Tensor, "b i *rest"]) -> Float[Tensor, "b o *rest2"]:
        """Add the residual to the input, or to a 1x1 convolution of it where its shape changes."""
        y = self.activate(x)
        return self.residual(y) + (x if self.shortcut is None else self.shortcut(y))
