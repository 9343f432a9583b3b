"""What layers from the group to the group share: filters on the group, and the table that turns them."""

from collections.abc import Callable
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from orbitconv.nn.conv import BasisConv2d
from orbitconv.nn.products.dense import expand_group
from orbitconv.nn.products.turning import Turning, turning_of


class TurnedConv2d(BasisConv2d):
    """A layer whose coefficients are a function on the group, which every element turns.

    Arguments as for BasisConv2d.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._turning = turning_of(self.group).to(self.coefficients.device)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> "TurnedConv2d":
        """Move the layer, and write the group tables anew beside its coefficients, also after a stay on meta."""
        super()._apply(fn, recurse)
        self._write_tables()
        return self

    def _load_from_state_dict(self, *args: Any, **kwargs: Any) -> None:
        """Load coefficients, and bring the group tables to where they are: `assign=True` may take them off meta."""
        super()._load_from_state_dict(*args, **kwargs)
        self._write_tables()

    @torch.inference_mode(mode=False)  # a state dict may be loaded in it, and the layer trained afterwards
    def _write_tables(self) -> None:
        """Bring the table of the group to the layer's device."""
        device = self.coefficients.device
        if device != self._turning.selection.device:
            self._turning = turning_of(self.group).to(device)

    def _turning_on(self, device: torch.device) -> Turning:
        """The table of the group where coefficients are: `torch.func` may put some in place of those on meta."""
        if device == self._turning.selection.device:
            return self._turning
        with torch.inference_mode(mode=False):
            return turning_of(self.group).to(device)

    def _expand(
        self, coefficients: Float[Tensor, "o i m d"], atoms: Float[Tensor, "g d ky kx"], channels_last: bool = False
    ) -> Float[Tensor, "og ih ky kx"]:
        return expand_group(coefficients, atoms, self._turning_on(coefficients.device), channels_last)
