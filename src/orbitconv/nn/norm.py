"""Normalization that treats all group elements alike."""

from typing import final

from torch import Tensor, nn


@final
class GroupBatchNorm2d(nn.BatchNorm3d):
    """Batch normalization with statistics and affine parameters shared over the group axis and the plane.

    Equivariant to every element: permuting the group axis or moving pixels leaves the statistics alone. It is
    `torch.nn.BatchNorm3d` with the group axis as depth, so its arguments and state are the same.

    Shapes:
        (batch, channels, group, height, width) -> (batch, channels, group, height, width)
    """

    def _check_input_dim(self, input: Tensor) -> None:  # noqa: A002
        if input.ndim != 5:
            raise ValueError(
                f"GroupBatchNorm2d expects input of shape (batch, {self.num_features}, group, height, width), got "
                f"{tuple(input.shape)}. Use torch.nn.BatchNorm2d on planar features."
            )
