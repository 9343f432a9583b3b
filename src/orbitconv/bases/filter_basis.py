"""What every filter basis is: for each group element, a set of sampled functions."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from orbitconv._support.checks import Size2, as_pair
from orbitconv.groups import Group

_ROUNDING = 0.01
"""Difference of atoms, in parts of their norm, that rounding a saved state to 16 bits makes."""


class FilterBasis(nn.Module, ABC):
    """Atoms `e[g, d]`: sampled functions and their versions transformed by every group element.

    A filter is a set of coefficients, `psi = sum over d of w[d] e[0, d]`. To transform it, keep the coefficients and
    switch the atoms: `L_g psi = sum over d of w[d] e[g, d]`.

    Args:
        group: The group.
        kernel_size: Height and width of the atoms, in pixels.

    Shapes:
        () -> (group, num_atoms, height, width)

    Source: Diaconu & Worrall (2019), section 3.
    """

    lattice: Literal["square", "hexagonal"] = "square"
    """What the pixels of the atoms are: a grid of squares, or an axial array of the hexagonal lattice."""

    def __init__(self, group: Group, kernel_size: Size2) -> None:
        super().__init__()
        self.group = group
        self.kernel_size = as_pair(type(self).__name__, "kernel_size", kernel_size)

    @property
    @abstractmethod
    def num_atoms(self) -> int:
        """Number of atoms D, which is the number of coefficients of a filter."""

    @abstractmethod
    def forward(self, dtype: torch.dtype | None = None) -> Float[Tensor, "g d ky kx"]:
        """The atoms of every group element, (group, num_atoms, height, width), in a dtype or the basis's own."""

    @property
    def is_complete(self) -> bool:
        """Whether the atoms span every filter of their size."""
        return self.num_atoms >= self.num_taps

    @property
    def num_taps(self) -> int:
        """Number of pixels of a filter; on hexagons the corners of its array are not among them."""
        height, width = self.kernel_size
        if self.lattice == "square":
            return height * width
        return 3 * (height // 2) * (height // 2 + 1) + 1

    def orbit(self, d: int) -> Float[Tensor, "g ky kx"]:
        """Every transformed copy of atom `d`, one at each group element."""
        return self()[:, d]

    def _save_to_state_dict(self, destination: Any, prefix: str, keep_vars: bool) -> None:
        """Save, and note beside the tensors, as torch does with versions, which basis they are of."""
        super()._save_to_state_dict(destination, prefix, keep_vars)
        if hasattr(destination, "_metadata"):
            noted = {"group": str(self.group), "basis": f"{type(self).__name__}({self.extra_repr()})"}
            destination._metadata.setdefault(prefix[:-1], {}).update(noted)  # noqa: SLF001

    def _load_from_state_dict(
        self,
        state_dict: Any,
        prefix: str,
        local_metadata: Any,
        strict: bool,
        missing_keys: list[str],
        unexpected_keys: list[str],
        error_msgs: list[str],
    ) -> None:
        """Load, but refuse the state of a basis of another group: coefficients mean something else there."""
        own, group = f"{type(self).__name__}({self.extra_repr()})", local_metadata.get("group", str(self.group))
        reason = f"the state is one on {group}, not {self.group}" if group != str(self.group) else None
        reason = reason or self._reason_to_refuse(state_dict, prefix)
        if reason is None:
            lists = missing_keys, unexpected_keys, error_msgs
            super()._load_from_state_dict(state_dict, prefix, local_metadata, strict, *lists)
            return
        error_msgs.append(
            f"The basis at {prefix[:-1] or 'the top'} is {own}, and the state was saved with "
            f"{local_metadata.get('basis', 'another basis')}: {reason}. Build the network with the basis it was saved "
            "with."
        )

    def _reason_to_refuse(self, state_dict: Any, prefix: str) -> str | None:  # noqa: ARG002
        """Why the tensors of a state are not of this basis; a basis that trains takes any of its shape."""
        return None

    def extra_repr(self) -> str:
        """Group, size and dimension, for `print`."""
        height, width = self.kernel_size
        on = "" if self.lattice == "square" else "lattice=hexagonal, "
        return f"{self.group}, {on}kernel_size={height}x{width}, num_atoms={self.num_atoms}"


class FixedBasis(FilterBasis):
    """A basis whose atoms are constants.

    The atoms are kept in float64 whatever happens to the module, and rounded when asked for: `.double()` after
    `.half()` is exact again. They travel in the state dict, so a saved network carries its basis: a network built on
    the meta device takes it over, and one that was built with other atoms refuses the state.

    Args:
        group: The group.
        kernel_size: Height and width of the atoms, in pixels.
        atoms: The atoms at every group element.
        lattice: What their pixels are.

    Raises:
        ValueError: If the atoms do not have the shape (|G|, D, height, width).
    """

    atoms: Tensor

    def __init__(
        self,
        group: Group,
        kernel_size: Size2,
        atoms: Float[Tensor, "g d ky kx"],
        lattice: Literal["square", "hexagonal"] = "square",
    ) -> None:
        super().__init__(group, kernel_size)
        self.lattice = lattice
        if atoms.ndim != 4 or (atoms.shape[0], *atoms.shape[2:]) != (group.order, *self.kernel_size):
            raise ValueError(
                f"{type(self).__name__} expects atoms of shape ({group.order}, num_atoms, {self.kernel_size[0]}, "
                f"{self.kernel_size[1]}) for {group}, got {tuple(atoms.shape)}."
            )
        self.dtype = torch.get_default_dtype()
        self.register_buffer("atoms", atoms.detach().to(torch.float64).contiguous())

    @property
    def num_atoms(self) -> int:
        """Number of atoms D."""
        return self.atoms.shape[1]

    def forward(self, dtype: torch.dtype | None = None) -> Float[Tensor, "g d ky kx"]:
        """The atoms of every group element, rounded to `dtype`, by default the one the module was last moved to."""
        return self.atoms.to(dtype or self.dtype)

    def _reason_to_refuse(self, state_dict: Any, prefix: str) -> str | None:
        """Other atoms than these are another basis; but atoms that were on meta, or are zero, are yet to be loaded."""
        given = state_dict.get(f"{prefix}atoms")
        if not isinstance(given, Tensor) or given.is_meta or self.atoms.is_meta or not self.atoms.abs().sum() > 0:
            return None
        if given.shape != self.atoms.shape:
            return f"its atoms have the shape {tuple(given.shape)}, not {tuple(self.atoms.shape)}"
        off = float((given.to(self.atoms) - self.atoms).norm() / self.atoms.norm())
        return None if off <= _ROUNDING else f"its atoms differ by {off:.2g} of their norm"

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> "FixedBasis":  # noqa: ARG002
        """Follow moves between devices, remember the dtype, and keep the float64 atoms.

        Atoms that come back from the meta device are NaN until a state dict is loaded, so that no one trains on
        whatever the memory held.
        """
        probe = fn(torch.empty(0, dtype=self.dtype, device=self.atoms.device))
        self.dtype = probe.dtype if probe.is_floating_point() else self.dtype
        if probe.device != self.atoms.device:
            widest = torch.float32 if probe.device.type == "mps" else torch.float64
            if self.atoms.is_meta:
                self.atoms = torch.full(self.atoms.shape, torch.nan, dtype=widest, device=probe.device)
            else:
                self.atoms = self.atoms.to(probe.device, widest)
        return self
