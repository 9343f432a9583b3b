"""What classifiers share: a stack of convolutions, a pool over group and plane, class scores."""

from collections.abc import Collection, Sequence
from typing import Literal

from jaxtyping import Float
from torch import Tensor, nn

from orbitconv._support.checks import Size2
from orbitconv.models.layers import Downsample, Layers


class Classifier(nn.Module):
    """Feature maps, a pool over the group, a pool over the plane, a last layer.

    Equivariant up to the pools and invariant after them, as far as the basis is.

    Args:
        features: From the image to feature maps.
        pool: From the group to the plane.
        classify: From features to class scores.
        width: Fields of the first stage.
        plane: How the plane is pooled, `"mean"` or `"max"`.

    Shapes:
        (batch, in_channels, height, width) -> (batch, num_classes)
    """

    def __init__(
        self,
        features: nn.Sequential,
        pool: nn.Module,
        classify: nn.Module,
        *,
        width: int | float,
        plane: Literal["mean", "max"] = "mean",
    ) -> None:
        super().__init__()
        self.features, self.pool, self.classify = features, pool, classify
        self.width, self.plane = width, plane

    def forward(self, x: Float[Tensor, "b i h w"]) -> Float[Tensor, "b k"]:
        """Class scores."""
        planes = self.pool(self.features(x))
        return self.classify(planes.mean((2, 3)) if self.plane == "mean" else planes.amax((2, 3)))


def convolution_stack(
    layers: Layers,
    in_channels: int,
    fields: Sequence[int],
    *,
    halve_after: Collection[int],
    downsample: Downsample,
    padding: Size2 | None = None,
    dropout: float = 0.0,
) -> list[nn.Module]:
    """Convolutions in a row, the first from the image, each with batch norm, ReLU and perhaps dropout.

    After some, counted from zero, planes are halved; with `"stride"` these have stride 2 themselves. Padding is with
    zeros, in pixels; by default half the kernel.
    """
    stack = layers.enter()
    for index, (before, after) in enumerate(zip((in_channels, *fields), fields, strict=False)):
        halving = downsample if index in halve_after else None
        convolution = layers.conv if index else layers.lift
        stack += layers.unit(convolution(before, after, stride=layers.stride(halving), padding=padding))
        if dropout:
            stack.append(layers.dropout(dropout))
        stack += layers.halve(halving)
    return stack
