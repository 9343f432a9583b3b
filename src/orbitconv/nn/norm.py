"""Normalization with statistics shared by all group elements."""

from typing import final

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from orbitconv._support.checks import check_positive
from orbitconv.nn.row_statistics import normalize_rows


@torch.no_grad()
def follow_statistics(norm: _BatchNorm, mean: Float[Tensor, " c"], variance: Float[Tensor, " c"]) -> None:
    """Move the running statistics of a norm towards those of a batch, as torch does."""
    assert norm.running_mean is not None
    assert norm.running_var is not None
    assert norm.num_batches_tracked is not None
    norm.num_batches_tracked.add_(1)
    momentum = 1 / float(norm.num_batches_tracked) if norm.momentum is None else norm.momentum
    norm.running_mean.lerp_(mean.to(norm.running_mean.dtype), momentum)
    norm.running_var.lerp_(variance.to(norm.running_var.dtype), momentum)


@final
class GroupBatchNorm2d(nn.BatchNorm3d):
    """Batch normalization with statistics and affine parameters shared over the group axis and the plane.

    Equivariant to every element: permuting the group axis or moving pixels leaves the statistics alone. It is
    `torch.nn.BatchNorm3d` with the group axis as depth, so its arguments and state are the same. Unlike that, it keeps
    planes that are channels last (`torch.channels_last` after `flatten(1, 2)`) as they are, without copies.

    Shapes:
        (batch, channels, group, height, width) -> (batch, channels, group, height, width)
    """

    def forward(self, input: Float[Tensor, "b c g h w"]) -> Float[Tensor, "b c g h w"]:  # noqa: A002
        """Normalize `input`."""
        _check_features("GroupBatchNorm2d", input, self.num_features, "torch.nn.BatchNorm2d")
        pixels = input.permute(0, 3, 4, 1, 2)
        if input.is_contiguous() or not pixels.is_contiguous():
            return super().forward(input)
        # Channels last: each pixel is a sample whose last axis is the group. Statistics are over the same numbers.
        samples = pixels.flatten(0, 2)
        is_quick = samples.device.type == "cpu" and samples.dtype in {torch.float32, torch.float64}
        is_quick = is_quick and not torch.compiler.is_compiling()  # a compiler writes its own loops
        normalized = self._normalize_rows(samples) if is_quick else super().forward(samples)
        return normalized.unflatten(0, pixels.shape[:3]).permute(0, 3, 4, 1, 2)

    def _normalize_rows(self, samples: Float[Tensor, "n c g"]) -> Float[Tensor, "n c g"]:
        """The same, a few times faster on a CPU: torch walks this layout in steps as short as the group is.

        Whole rows of all channels and elements are summed and scaled instead, with statistics spread over the elements.
        """
        count, _, order = samples.shape

        def spread(values: Tensor) -> Tensor:
            return values.repeat_interleave(order)

        rows = samples.flatten(1)
        weight, bias = (None if values is None else spread(values) for values in (self.weight, self.bias))
        if not self.training and self.running_mean is not None and self.running_var is not None:
            mean, variance = spread(self.running_mean), spread(self.running_var)
            return F.batch_norm(rows, mean, variance, weight, bias, eps=self.eps).view_as(samples)

        numbers = count * order
        if numbers == 1:
            raise ValueError(f"GroupBatchNorm2d expects more than one number per channel in training, got {numbers}.")
        normalized, mean, variance = normalize_rows(rows, weight, bias, order, self.eps)
        if self.training and self.track_running_stats:
            follow_statistics(self, mean, variance * (numbers / (numbers - 1)))
        return normalized.view_as(samples)

    def _check_input_dim(self, input: Tensor) -> None:  # noqa: A002
        """Nothing more: `forward` looks at its input, which it may hand on as rows."""


@final
class GroupScaleNorm2d(nn.Module):
    """Batch normalization without subtraction of the mean: every channel is divided by its root mean square.

    y = weight x / sqrt(mean(x^2) + eps) + bias, the mean over images, group axis and plane. A batch norm takes away the
    mean of its input, which turns with the image exactly, and leaves what deviates; this norm leaves both as they
    stand to each other. In eval mode the mean square is the running one. Equivariant to every element.

    Args:
        num_features: Channels of the input for each group element.
        eps: Added to the mean square.
        momentum: Share of the batch in the running mean square at each step.
        affine: Whether to scale and shift each channel, all group elements alike.
        device: Device of the parameters.
        dtype: Dtype of the parameters.

    Shapes:
        (batch, channels, group, height, width) -> (batch, channels, group, height, width)

    Raises:
        ValueError: If a count is below one or the momentum not between 0 and 1; at call time, if the input has another
            shape.

    Source: Zhang & Sennrich (2019), Root mean square layer normalization, here with the statistics of Ioffe & Szegedy
    (2015), Batch normalization.
    """

    running_square: Tensor

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float = 0.1,
        affine: bool = True,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        check_positive("GroupScaleNorm2d", num_features=num_features)
        if not 0 < momentum <= 1:
            raise ValueError(f"GroupScaleNorm2d expects momentum above 0 and up to 1, got {momentum}.")
        self.num_features, self.eps, self.momentum = num_features, eps, momentum
        ones = torch.ones(num_features, device=device, dtype=dtype)
        self.weight = nn.Parameter(ones) if affine else None
        self.bias = nn.Parameter(torch.zeros_like(ones)) if affine else None
        self.register_buffer("running_square", ones.clone())

    def reset_parameters(self) -> None:
        """Scale by one, shift by zero, and forget the statistics."""
        nn.init.ones_(self.running_square)
        if self.weight is not None and self.bias is not None:
            nn.init.ones_(self.weight)
            nn.init.zeros_(self.bias)

    def forward(self, x: Float[Tensor, "b c g h w"]) -> Float[Tensor, "b c g h w"]:
        """Normalize `x`."""
        _check_features("GroupScaleNorm2d", x, self.num_features, "torch.nn.BatchNorm2d")
        square = self.running_square
        if self.training and x.shape[0]:
            square = x.square().mean((0, 2, 3, 4), dtype=torch.promote_types(x.dtype, torch.float32))
            self.running_square.lerp_(square.detach().to(self.running_square.dtype), self.momentum)
        scale = (square + self.eps).rsqrt()
        scale = scale if self.weight is None else scale * self.weight
        y = x * scale.to(x.dtype).reshape(-1, 1, 1, 1)
        return y if self.bias is None else y + self.bias.to(x.dtype).reshape(-1, 1, 1, 1)

    def extra_repr(self) -> str:
        """Options, for `print`."""
        return f"{self.num_features}, eps={self.eps}, momentum={self.momentum}, affine={self.weight is not None}"


@final
class GroupInstanceNorm2d(nn.InstanceNorm3d):
    """Instance normalization: statistics of every image and channel, shared over the group axis and the plane.

    Equivariant to every element, as GroupBatchNorm2d. It is `torch.nn.InstanceNorm3d` with the group axis as depth, so
    its arguments and state are the same.

    Shapes:
        (batch, channels, group, height, width) -> (batch, channels, group, height, width)

    Source: Ulyanov, Vedaldi & Lempitsky (2016), Instance normalization.
    """

    def forward(self, input: Float[Tensor, "b c g h w"]) -> Float[Tensor, "b c g h w"]:  # noqa: A002
        """Normalize `input`."""
        _check_features("GroupInstanceNorm2d", input, self.num_features, "torch.nn.InstanceNorm2d")
        return super().forward(input) if len(input) else input.clone()  # torch refuses a batch without images


@final
class GroupGroupNorm2d(nn.GroupNorm):
    """Group normalization: statistics of every image and block of channels, shared over group axis and plane.

    The blocks of channels (`num_groups`) have nothing to do with the group that acts. Equivariant to every element, as
    GroupBatchNorm2d. It is `torch.nn.GroupNorm` on rank 5, so its arguments and state are the same.

    Shapes:
        (batch, channels, group, height, width) -> (batch, channels, group, height, width)

    Source: Wu & He (2018), Group normalization.
    """

    def forward(self, input: Float[Tensor, "b c g h w"]) -> Float[Tensor, "b c g h w"]:  # noqa: A002
        """Normalize `input`."""
        _check_features("GroupGroupNorm2d", input, self.num_channels, "torch.nn.GroupNorm")
        return super().forward(input)


@final
class GroupLayerNorm2d(nn.Module):
    """Layer normalization at every pixel: statistics over channels and group axis, one weight and bias a channel.

    What ConvNeXt does to the channels of a planar pixel. Equivariant to every element: moving pixels and permuting the
    group axis leaves the statistics of a pixel alone.

    Args:
        num_channels: Channels of the input for each group element.
        eps: Added to the variance.
        elementwise_affine: Whether to scale and shift each channel, all group elements alike.
        bias: Whether to shift; of no effect without `elementwise_affine`.
        device: Device of the parameters.
        dtype: Dtype of the parameters.

    Shapes:
        (batch, channels, group, height, width) -> (batch, channels, group, height, width)

    Raises:
        ValueError: If a count is below one; at call time, if the input has another shape.

    Source: Ba, Kiros & Hinton (2016), Layer normalization; Liu et al. (2022), A ConvNet for the 2020s.
    """

    def __init__(
        self,
        num_channels: int,
        eps: float = 1e-5,
        elementwise_affine: bool = True,
        bias: bool = True,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        check_positive("GroupLayerNorm2d", num_channels=num_channels)
        self.num_channels, self.eps = num_channels, eps
        ones = torch.ones(num_channels, device=device, dtype=dtype)
        self.weight = nn.Parameter(ones) if elementwise_affine else None
        self.bias = nn.Parameter(torch.zeros_like(ones)) if elementwise_affine and bias else None

    def reset_parameters(self) -> None:
        """Scale by one, shift by zero."""
        if self.weight is not None:
            nn.init.ones_(self.weight)
        if self.bias is not None:
            nn.init.zeros_(self.bias)

    def forward(self, x: Float[Tensor, "b c g h w"]) -> Float[Tensor, "b c g h w"]:
        """Normalize `x`."""
        _check_features("GroupLayerNorm2d", x, self.num_channels, "torch.nn.LayerNorm")
        return normalize_pixels(x, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        """Options, for `print`."""
        return f"{self.num_channels}, eps={self.eps}, elementwise_affine={self.weight is not None}"


def normalize_pixels(
    x: Float[Tensor, "b c g h w"], weight: Float[Tensor, " c"] | None, bias: Float[Tensor, " c"] | None, eps: float
) -> Float[Tensor, "b c g h w"]:
    """Layer normalization over channels and group axis at every pixel; the layout in memory stays."""
    channels, order = x.shape[1], x.shape[2]
    weight, bias = (None if values is None else values.repeat_interleave(order) for values in (weight, bias))
    pixels = x.permute(0, 3, 4, 1, 2).flatten(3)
    y = F.layer_norm(pixels, (channels * order,), weight, bias, eps)
    y = y.unflatten(3, (channels, order)).permute(0, 3, 4, 1, 2)
    return y.contiguous() if x.is_contiguous() else y


def _check_features(owner: str, x: Tensor, channels: int, planar: str) -> None:
    """Refuse what is no feature map on a group of so many channels."""
    if x.ndim != 5 or x.shape[1] != channels:
        raise ValueError(
            f"{owner} expects input of shape (batch, {channels}, group, height, width), got {tuple(x.shape)}. Use "
            f"{planar} on planar features."
        )
