"""ConvNeXt, tiny."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from orbitconv._support.checks import check_positive
from orbitconv.models.backbones.backbone import Backbone

_DEPTHS = 3, 3, 9, 3


class PixelNorm(nn.Module):
    """Layer norm of the channels of every pixel."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(channels, eps=1e-6)

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        """Normalize."""
        return self.norm(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class ConvNeXtBlock(nn.Module):
    """A depthwise 7x7 convolution, then two layers at every pixel, added with a scale for each channel."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.depthwise = nn.Conv2d(channels, channels, 7, padding=3, groups=channels)
        self.norm = nn.LayerNorm(channels, eps=1e-6)
        self.wide, self.act, self.narrow = (
            nn.Linear(channels, 4 * channels),
            nn.GELU(),
            nn.Linear(4 * channels, channels),
        )
        self.gamma = nn.Parameter(torch.full((channels,), 1e-6))

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        """Add what the layers make of `x`."""
        y = self.norm(self.depthwise(x).permute(0, 2, 3, 1))
        y = self.gamma * self.narrow(self.act(self.wide(y)))
        return x + y.permute(0, 3, 1, 2)


def convnext_tiny(
    num_classes: int = 1000, in_channels: int = 3, width: int = 96, *, features_only: bool = False
) -> Backbone:
    """ConvNeXt-T: 28,589,128 parameters with 1,000 classes; without stochastic depth.

    The arguments are those of `resnet18`.

    Returns:
        The network, untrained.

    Source: Liu et al. (2022), A ConvNet for the 2020s.
    """
    check_positive("convnext_tiny", num_classes=num_classes, in_channels=in_channels, width=width)
    channels = [width * 2**index for index in range(len(_DEPTHS))]
    stages = []
    for index, (depth, after) in enumerate(zip(_DEPTHS, channels, strict=True)):
        if index == 0:
            down = nn.Conv2d(in_channels, after, 4, 4), PixelNorm(after)
        else:
            down = PixelNorm(channels[index - 1]), nn.Conv2d(channels[index - 1], after, 2, 2)
        stages.append(nn.Sequential(*down, *(ConvNeXtBlock(after) for _ in range(depth))))
    pooled = nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.LayerNorm(channels[-1], eps=1e-6)
    head = nn.Sequential(*pooled, nn.Linear(channels[-1], num_classes))
    return Backbone(stages, channels, (4, 8, 16, 32), None if features_only else head)
