"""Restriction to a subgroup within a network."""

from collections.abc import Callable
from typing import final

import torch
from jaxtyping import Float
from torch import Tensor, nn

from orbitconv.groups import Group, cosets
from orbitconv.nn.pooling import check_on_group


@final
class GroupRestriction(nn.Module):
    """Read features on a group as features on a subgroup: |G| / |H| times the channels, nothing lost, nothing mixed.

    y[b, (c, t), h] = x[b, c, h t], t running over the right cosets of H in G. Equivariant to H. Layers after it are
    equivariant to H only: edges are the same in a mirror, a mirrored 2 is no 2.

    Args:
        group: Group of the input.
        subgroup: Group of the output, a part of `group`.

    Shapes:
        (batch, channels, |G|, height, width) -> (batch, channels * |G| / |H|, |H|, height, width)

    Raises:
        ValueError: If `subgroup` is not part of `group`; at call time, if the input is not on `group`.

    Source: Weiler & Cesa (2019), section 2.7, "group restriction".
    """

    index: Tensor

    def __init__(self, group: Group, subgroup: Group) -> None:
        super().__init__()
        self.group, self.subgroup = group, subgroup
        self._cosets = cosets(subgroup, group)
        self.register_buffer("index", torch.from_numpy(self._cosets.flatten()), persistent=False)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> "GroupRestriction":
        """Move the layer, and write the table anew, also after a stay on meta."""
        super()._apply(fn, recurse)
        self.index = torch.from_numpy(self._cosets.flatten()).to(self.index.device)
        return self

    def forward(self, x: Float[Tensor, "b c g h w"]) -> Float[Tensor, "b ct s h w"]:
        """Sort the group axis by cosets."""
        check_on_group("GroupRestriction", x, self.group)
        return x.index_select(2, self.index).unflatten(2, self._cosets.shape).flatten(1, 2)

    def extra_repr(self) -> str:
        """Both groups, for `print`."""
        return f"{self.group}, {self.subgroup}"
