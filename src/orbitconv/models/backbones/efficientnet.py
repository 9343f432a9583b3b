"""EfficientNet-B0."""

from jaxtyping import Float
from torch import Tensor, nn

from orbitconv._support.checks import check_positive
from orbitconv.models.backbones.backbone import Backbone, conv_norm, linear_head

# Expansion, kernel size, stride, channels at a width of 32, and number of blocks.
_ROWS = (
    (1, 3, 1, 16, 1), (6, 3, 2, 24, 2), (6, 5, 2, 40, 2), (6, 3, 2, 80, 3),
    (6, 5, 1, 112, 3), (6, 5, 2, 192, 4), (6, 3, 1, 320, 1),
)  # fmt: skip
_MAPS = (0, 1, 2, 4, 6)
"""Rows after which a map of the next stride is complete."""


class SqueezeExcite(nn.Module):
    """Scale every channel by a number that depends on the mean of all, with fewer channels between the two layers."""

    def __init__(self, channels: int, squeezed: int) -> None:
        super().__init__()
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.down, self.act = nn.Conv2d(channels, squeezed, 1), nn.SiLU()
        self.up, self.gate = nn.Conv2d(squeezed, channels, 1), nn.Sigmoid()

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        """Scale."""
        return x * self.gate(self.up(self.act(self.down(self.pool(x)))))


class InvertedResidual(nn.Module):
    """Channels are expanded, filtered one by one, gated, and projected.

    They are added to the input where the shape is the same.
    """

    def __init__(self, before: int, after: int, expansion: int, kernel_size: int, stride: int) -> None:
        super().__init__()
        wide = before * expansion
        self.layers = nn.Sequential(
            *([conv_norm(before, wide, 1, act=nn.SiLU)] if expansion > 1 else []),
            conv_norm(wide, wide, kernel_size, stride, wide, act=nn.SiLU),
            SqueezeExcite(wide, max(1, before // 4)),
            conv_norm(wide, after, 1, act=None),
        )
        self.adds = stride == 1 and before == after

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c2 h2 w2"]:
        """Apply the layers."""
        return x + self.layers(x) if self.adds else self.layers(x)


def efficientnet_b0(
    num_classes: int = 1000, in_channels: int = 3, width: int = 32, *, features_only: bool = False
) -> Backbone:
    """EfficientNet-B0: 5,288,548 parameters with 1,000 classes; without stochastic depth.

    The arguments are those of `resnet18`; `width` is that of the first convolution, a multiple of 4, and all others are
    in proportion. `features_only` gives one map for each stride, 2 to 32.

    Returns:
        The network, untrained.

    Raises:
        ValueError: If 4 does not divide the width.

    Source: Tan & Le (2019), EfficientNet: rethinking model scaling for convolutional neural networks.
    """
    check_positive("efficientnet_b0", num_classes=num_classes, in_channels=in_channels, width=width)
    if width % 4:
        raise ValueError(f"efficientnet_b0 expects a width that 4 divides, got {width}.")
    stages, channels = list[nn.Module](), list[int]()
    layers: list[nn.Module] = [conv_norm(in_channels, width, 3, 2, act=nn.SiLU)]
    before = width
    for row, (expansion, kernel_size, stride, full, count) in enumerate(_ROWS):
        after = full * width // 32
        for n in range(count):
            layers.append(InvertedResidual(before, after, expansion, kernel_size, stride if n == 0 else 1))
            before = after
        if row in _MAPS:
            stages.append(nn.Sequential(*layers))
            channels.append(after)
            layers = []
    last = 40 * width
    head = nn.Sequential(conv_norm(before, last, 1, act=nn.SiLU), linear_head(last, num_classes, dropout=0.2))
    return Backbone(stages, channels, (2, 4, 8, 16, 32), None if features_only else head)
