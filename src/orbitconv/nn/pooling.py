"""Pooling: over the plane of feature maps on the group, and over the group itself."""

from typing import Literal, final

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from orbitconv._support.checks import Size2, as_pair
from orbitconv.groups import Group
from orbitconv.nn.products.kernel import planes as compiled


def check_on_group(owner: str, x: Tensor, group: Group | None = None) -> None:
    """Refuse input that is not a feature map on a group, or not on this one."""
    if x.ndim != 5:
        raise ValueError(
            f"{owner} expects input of shape (batch, channels, group, height, width), got {tuple(x.shape)}."
        )
    if group is not None and x.shape[2] != group.order:
        raise ValueError(
            f"{owner} expects a group axis of length {group.order} ({group}), got input of shape {tuple(x.shape)} with "
            f"{x.shape[2]} at dim 2."
        )


def largest(x: Tensor, dim: int) -> Tensor:
    """Maximum over an axis, which what follows may overwrite: the gradient of `amax` needs its output unchanged.

    Equal numbers share the gradient, so that it is equivariant too; that of `torch.max` goes to the first of them.
    """
    return x.amax(dim).clone()


class _PlanePool2d(nn.Module):
    """Pool every plane of feature maps on the group."""

    def __init__(self, kernel_size: Size2, stride: Size2 | None = None, padding: int | tuple[int, int] = 0) -> None:
        super().__init__()
        owner = type(self).__name__
        self.kernel_size = as_pair(owner, "kernel_size", kernel_size)
        self.stride = self.kernel_size if stride is None else as_pair(owner, "stride", stride)
        self.padding = padding

    def extra_repr(self) -> str:
        """Options, for `print`."""
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"


@final
class GroupMaxPool2d(_PlanePool2d):
    """Maximum over windows of every plane; group elements stay apart.

    Equivariant to the elements that map the grid to itself where `keeps_centre` holds: 2x2 windows on even sizes.

    Args:
        kernel_size: Side of the window, in pixels.
        stride: Step between windows; the kernel size by default.
        padding: Padding on every side, in pixels.

    Shapes:
        (batch, channels, group, height, width) -> (batch, channels, group, height', width')
    """

    def forward(self, x: Float[Tensor, "b c g h w"]) -> Float[Tensor, "b c g h2 w2"]:
        """Pool `x`."""
        check_on_group("GroupMaxPool2d", x)
        planes = x.flatten(1, 2)
        is_two = self.kernel_size == self.stride == (2, 2) and self.padding in {0, (0, 0)}
        if is_two and compiled.is_offered(planes):
            y = compiled.max_pool(planes)
        else:
            y = F.max_pool2d(planes, self.kernel_size, self.stride, self.padding)
        return y.unflatten(1, x.shape[1:3])


@final
class GroupAvgPool2d(_PlanePool2d):
    """Mean over windows of every plane; group elements stay apart.

    Equivariant, and with the arguments, as `GroupMaxPool2d`.

    Shapes:
        (batch, channels, group, height, width) -> (batch, channels, group, height', width')
    """

    def forward(self, x: Float[Tensor, "b c g h w"]) -> Float[Tensor, "b c g h2 w2"]:
        """Pool `x`."""
        check_on_group("GroupAvgPool2d", x)
        y = F.avg_pool2d(x.flatten(1, 2), self.kernel_size, self.stride, self.padding)
        return y.unflatten(1, x.shape[1:3])


@final
class GroupBlurPool2d(nn.Module):
    """Anti-aliased down-sampling by two: a binomial low-pass, then every second pixel.

    Exact under quarter turns and mirrors at *every* size: even sizes take the four weights (1, 3, 3, 1) / 8, whose
    output lies between the pixels, odd sizes the five weights (1, 4, 6, 4, 1) / 16, whose output lies on them.
    Borders reflect. `upsample_to` goes back to the grid it came from.

    Shapes:
        (batch, channels, group, height, width) -> (batch, channels, group, ceil(height / 2), ceil(width / 2))

    Raises:
        ValueError: At call time, if a side is below three pixels.

    Source: Zhang (2019), Making convolutional networks shift-invariant again.
    """

    def forward(self, x: Float[Tensor, "b c g h w"]) -> Float[Tensor, "b c g h2 w2"]:
        """Down-sample `x`."""
        check_on_group("GroupBlurPool2d", x)
        return _blur_planes("GroupBlurPool2d", x.flatten(1, 2)).unflatten(1, x.shape[1:3])


@final
class BlurPool2d(nn.Module):
    """GroupBlurPool2d for planar features.

    Shapes:
        (batch, channels, height, width) -> (batch, channels, ceil(height / 2), ceil(width / 2))

    Raises:
        ValueError: At call time, if the rank is not four or a side is below three pixels.
    """

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h2 w2"]:
        """Down-sample `x`."""
        if x.ndim != 4:
            raise ValueError(
                f"BlurPool2d expects input of shape (batch, channels, height, width), got {tuple(x.shape)}. Use "
                "GroupBlurPool2d on feature maps on a group."
            )
        return _blur_planes("BlurPool2d", x)


def _blur_planes(owner: str, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h2 w2"]:
    """Blur every plane and take every second pixel; planes that are channels last stay so."""
    if min(x.shape[-2:]) < 3:
        raise ValueError(f"{owner} expects planes of at least 3x3 pixels, got {tuple(x.shape[-2:])}.")
    if compiled.is_offered(x):
        return compiled.blur_pool(x)
    (tall, rows), (wide, cols) = (_binomial(size) for size in x.shape[-2:])
    x, channels = F.pad(x, (wide, wide, tall, tall), mode="reflect"), x.shape[1]
    down = torch.tensor(rows, dtype=x.dtype, device=x.device).reshape(1, 1, -1, 1).expand(channels, -1, -1, -1)
    across = torch.tensor(cols, dtype=x.dtype, device=x.device).reshape(1, 1, 1, -1).expand(channels, -1, -1, -1)
    return F.conv2d(F.conv2d(x, down, stride=(2, 1), groups=channels), across, stride=(1, 2), groups=channels)


def _binomial(size: int) -> tuple[int, list[float]]:
    """Padding and weights that keep the centre of an axis when every second pixel is taken."""
    return (2, [1 / 16, 4 / 16, 6 / 16, 4 / 16, 1 / 16]) if size % 2 else (1, [1 / 8, 3 / 8, 3 / 8, 1 / 8])


@final
class GroupPool(nn.Module):
    """Pool over the group axis: the result is planar and rotates with the image.

    Args:
        reduction: `"max"` or `"mean"`; `"mean-max"` gives the means of all channels, then their maxima.

    Shapes:
        (batch, channels, group, height, width) -> (batch, channels, height, width), twice the channels for
        `"mean-max"`

    Raises:
        ValueError: If the reduction is unknown; at call time, if the rank is not five.
    """

    def __init__(self, reduction: Literal["max", "mean", "mean-max"] = "max") -> None:
        super().__init__()
        if reduction not in {"max", "mean", "mean-max"}:
            raise ValueError(f"GroupPool expects reduction 'max', 'mean' or 'mean-max', got {reduction!r}.")
        self.reduction = reduction

    def forward(self, x: Float[Tensor, "b c g h w"]) -> Float[Tensor, "b c2 h w"]:
        """Pool `x` over the group."""
        check_on_group("GroupPool", x)
        pixels = x.permute(0, 3, 4, 1, 2)
        if x.is_contiguous() or not pixels.is_contiguous():
            return self._reduce(x, 2, 1)
        # Channels last: the last axis is the group, and the pooled planes stay as they are.
        return self._reduce(pixels, 4, 3).permute(0, 3, 1, 2)

    def _reduce(self, x: Tensor, group: int, channels: int) -> Tensor:
        if self.reduction == "mean-max":
            return torch.cat([x.mean(group), x.amax(group)], channels)
        return largest(x, group) if self.reduction == "max" else x.mean(group)

    def extra_repr(self) -> str:
        """The reduction, for `print`."""
        return self.reduction
