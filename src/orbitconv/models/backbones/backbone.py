"""What all backbones are: stages that make smaller and smaller maps, and a head."""

from collections.abc import Sequence
from typing import final

import torch
from jaxtyping import Float
from torch import Tensor, nn


@final
class Backbone(nn.Module):
    """A network in stages of maps, with a head for scores; without one it returns all maps.

    Plain layers of torch; `orbitconv.convert` makes it equivariant. `strides` are pixels of the image for one of each
    map.

    Shapes:
        (batch, in_channels, height, width) -> (batch, num_classes), or for each stage a map of shape
        (batch, channels[i], about height / strides[i], about width / strides[i])
    """

    def __init__(
        self, stages: Sequence[nn.Module], channels: Sequence[int], strides: Sequence[int], head: nn.Module | None
    ) -> None:
        super().__init__()
        self.stages, self.head = nn.ModuleList(stages), head
        self.channels, self.strides = tuple(channels), tuple(strides)
        self.reset_parameters()

    @torch.no_grad()
    def reset_parameters(self) -> None:
        """Draw convolutions as He et al. (2015) do, and leave all else as torch draws it."""
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
                if module.bias is not None:
                    nn.init.zeros_(module.bias)

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b k"] | list[Float[Tensor, "b c2 h2 w2"]]:
        """Scores of classes, or the maps of all stages."""
        maps: list[Tensor] = []
        for stage in self.stages:
            x = stage(x)
            maps.append(x)
        return maps if self.head is None else self.head(x)


def conv_norm(
    before: int,
    after: int,
    kernel_size: int,
    stride: int = 1,
    groups: int = 1,
    act: type[nn.Module] | None = nn.ReLU,
    *,
    bias: bool = False,
) -> nn.Sequential:
    """A convolution that keeps the size (divided by the stride), batch norm, and an activation."""
    conv = nn.Conv2d(before, after, kernel_size, stride, kernel_size // 2, groups=groups, bias=bias)
    return nn.Sequential(conv, nn.BatchNorm2d(after), *([act()] if act else []))


def linear_head(channels: int, num_classes: int, *, dropout: float = 0.0) -> nn.Sequential:
    """Mean over the plane, and a linear layer."""
    layers = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), *([nn.Dropout(dropout)] if dropout else [])]
    return nn.Sequential(*layers, nn.Linear(channels, num_classes))
