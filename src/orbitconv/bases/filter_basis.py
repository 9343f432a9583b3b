"""What every filter basis is: for each group element, a set of sampled functions."""

from abc import ABC, abstractmethod
from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor, nn

from orbitconv._support.checks import Size2, as_pair
from orbitconv.groups import Group


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
        """The atoms of every group element.

        Args:
            dtype: Wanted dtype; the basis's own if None.

        Returns:
            Atoms of shape (group, num_atoms, height, width).
        """

    @property
    def is_complete(self) -> bool:
        """Whether the atoms span every filter of their size."""
        return self.num_atoms >= self.kernel_size[0] * self.kernel_size[1]

    def orbit(self, d: int) -> Float[Tensor, "g ky kx"]:
        """Every transformed copy of one atom.

        Args:
            d: Index of the atom.

        Returns:
            The atom at each group element.
        """
        return self()[:, d]

    def extra_repr(self) -> str:
        """Group, size and dimension, for `print`."""
        height, width = self.kernel_size
        return f"{self.group}, kernel_size={height}x{width}, num_atoms={self.num_atoms}"


class FixedBasis(FilterBasis):
    """A basis whose atoms are constants.

    The atoms are kept in float64 whatever happens to the module, and rounded when asked for: `.double()` after
    `.half()` is exact again. They travel in the state dict, so a saved network carries its basis.

    Args:
        group: The group.
        kernel_size: Height and width of the atoms, in pixels.
        atoms: The atoms at every group element.

    Raises:
        ValueError: If the atoms do not have the shape (|G|, D, height, width).
    """

    atoms: Tensor

    def __init__(self, group: Group, kernel_size: Size2, atoms: Float[Tensor, "g d ky kx"]) -> None:
        super().__init__(group, kernel_size)
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
        """The atoms of every group element, rounded to `dtype`.

        Args:
            dtype: Wanted dtype; by default the one the module was last moved to.

        Returns:
            Atoms of shape (group, num_atoms, height, width).
        """
        return self.atoms.to(dtype or self.dtype)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> "FixedBasis":  # noqa: ARG002
        """Follow moves between devices, remember the dtype, and keep the float64 atoms.

        Atoms that come back from the meta device are NaN until a state dict is loaded, so that no one trains on
        whatever the memory held.

        Args:
            fn: What `nn.Module` would do to each tensor.
            recurse: As in `nn.Module`.

        Returns:
            This module.
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
