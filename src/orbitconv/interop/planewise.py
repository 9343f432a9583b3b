"""Fixed operations on every plane that their networks have and torch does not."""

from typing import final

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn


@final
class FilterPool2d(nn.Module):
    """Down-sample every plane with one fixed filter, perhaps after a maximum over windows at step one.

    Args:
        weight: The filter, the same for all planes.
        stride: Step of the output grid, in pixels.
        padding: Zeros on every side before the filter.
        windows: Kernel size, padding and `ceil_mode` of the maximum; none by default.

    Shapes:
        (batch, channels, *group, height, width) -> (batch, channels, *group, height', width')

    Source: Zhang (2019), Making convolutional networks shift-invariant again.
    """

    weight: Tensor

    def __init__(
        self,
        weight: Float[Tensor, "ky kx"],
        stride: tuple[int, int],
        padding: tuple[int, int],
        windows: tuple[tuple[int, int], tuple[int, int], bool] | None = None,
    ) -> None:
        super().__init__()
        self.register_buffer("weight", weight)
        self.stride, self.padding, self.windows = stride, padding, windows

    def forward(self, x: Float[Tensor, "b c *g h w"]) -> Float[Tensor, "b c *g h2 w2"]:
        """Down-sample `x`."""
        planes = x.flatten(0, -3).unsqueeze(1)
        if self.windows is not None:
            size, padding, ceil_mode = self.windows
            planes = F.max_pool2d(planes, size, 1, padding, ceil_mode=ceil_mode)
        y = F.conv2d(planes, self.weight[None, None], None, self.stride, self.padding)
        return y.squeeze(1).unflatten(0, x.shape[:-2])

    def extra_repr(self) -> str:
        """Options, for `print`."""
        return f"{tuple(self.weight.shape)}, stride={self.stride}, padding={self.padding}, windows={self.windows}"


@final
class PlaneMask(nn.Module):
    """Multiply every plane with one fixed mask of its size; shapes stay."""

    mask: Tensor

    def __init__(self, mask: Float[Tensor, "h w"]) -> None:
        super().__init__()
        self.register_buffer("mask", mask)

    def forward(self, x: Float[Tensor, "b c *g h w"]) -> Float[Tensor, "b c *g h w"]:
        """Mask `x`."""
        return x * self.mask
