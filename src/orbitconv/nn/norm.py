"""Normalization that treats all group elements alike."""

from typing import final

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from orbitconv.nn.row_statistics import normalize_rows


@torch.no_grad()
def follow_statistics(norm: _BatchNorm, mean: Float[Tensor, " c"], variance: Float[Tensor, " c"]) -> None:
    """Move the running statistics of a norm towards those of a batch, as torch does.

    Args:
        norm: A batch norm that tracks them.
        mean: Mean of every channel.
        variance: Unbiased variance of every channel.
    """
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
        if input.ndim != 5 or input.shape[1] != self.num_features:
            raise ValueError(
                f"GroupBatchNorm2d expects input of shape (batch, {self.num_features}, group, height, width), got "
                f"{tuple(input.shape)}. Use torch.nn.BatchNorm2d on planar features."
            )
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
