"""Dropout of whole fields, the responses at all group elements."""

from typing import final

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from orbitconv._support.checks import check_share
from orbitconv.nn.pooling import check_on_group


class _FieldDropout(nn.Module):
    """Drop with a mask that is the same for all group elements."""

    def __init__(self, p: float = 0.5) -> None:
        super().__init__()
        check_share(type(self).__name__, p=p)
        self.p = p

    def extra_repr(self) -> str:
        """The probability, for `print`."""
        return f"p={self.p}"


@final
class GroupDropout(_FieldDropout):
    """Zero whole fields, pixel by pixel: all group elements of a channel at a pixel stay or go together.

    Args:
        p: Probability that a field is zeroed in training.

    Shapes:
        (batch, channels, group, height, width) -> (batch, channels, group, height, width)
    """

    def forward(self, x: Float[Tensor, "b c g h w"]) -> Float[Tensor, "b c g h w"]:
        """Drop fields of `x`."""
        check_on_group("GroupDropout", x)
        return x * F.dropout(torch.ones_like(x[:, :, :1]), self.p, self.training) if self.training else x


@final
class GroupDropout2d(_FieldDropout):
    """Zero whole channels: all group elements and all pixels of a channel stay or go together.

    Args:
        p: Probability that a channel is zeroed in training.

    Shapes:
        (batch, channels, group, height, width) -> (batch, channels, group, height, width)
    """

    def forward(self, x: Float[Tensor, "b c g h w"]) -> Float[Tensor, "b c g h w"]:
        """Drop channels of `x`."""
        check_on_group("GroupDropout2d", x)
        return F.dropout3d(x, self.p, self.training)
