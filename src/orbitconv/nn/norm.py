"""Normalization that treats all group elements alike."""

from typing import final

from jaxtyping import Float
from torch import Tensor, nn


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
        self._check_input_dim(input)
        pixels = input.permute(0, 3, 4, 1, 2)
        if input.is_contiguous() or not pixels.is_contiguous():
            return super().forward(input)
        # Channels last: each pixel is a sample whose last axis is the group. Statistics are over the same numbers.
        normalized = super().forward(pixels.flatten(0, 2)).unflatten(0, pixels.shape[:3])
        return normalized.permute(0, 3, 4, 1, 2)

    def _check_input_dim(self, input: Tensor) -> None:  # noqa: A002
        if input.ndim not in {3, 5}:
            raise ValueError(
                f"GroupBatchNorm2d expects input of shape (batch, {self.num_features}, group, height, width), got "
                f"{tuple(input.shape)}. Use torch.nn.BatchNorm2d on planar features."
            )
