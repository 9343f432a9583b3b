"""What second moments of patches have in common on every lattice: sums for a few turns, and the rest from those."""

import math
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from orbitconv._support.checks import Size2, as_pair
from orbitconv.bases.orbits import Lattice, exact_moves, factor_exact
from orbitconv.groups import Group


class PatchSums:
    """Sums of Q, C and S for the elements that no exact move of the grid supplies.

    Those complete the others exactly.
    """

    lattice: ClassVar[Lattice] = "square"
    num_images: int
    num_points: int
    num_constant: int

    def __init__(self, group: Group, kernel_size: Size2, device: torch.device | str | None = None) -> None:
        self.group, self.kernel_size = group, as_pair(type(self).__name__, "kernel_size", kernel_size)
        self._factors = factor_exact(group, *self.kernel_size, self.lattice)
        self.measured = sorted({rest for _, rest in self._factors})
        pixels = math.prod(self.kernel_size)
        self.sums = torch.zeros(3, len(self.measured), pixels, pixels, dtype=torch.float64, device=device)
        self.num_images = self.num_points = self.num_constant = 0

    @property
    def patches(self) -> Float[Tensor, "g p p"]:
        """Q: patches of the turned image with themselves, a mean over points."""
        return self._complete(0, permute=(True, True))

    @property
    def cross(self) -> Float[Tensor, "g p p"]:
        """C: patches of the turned image with the turned response maps, a mean over points."""
        return self._complete(1, permute=(True, False))

    @property
    def responses(self) -> Float[Tensor, "g p p"]:
        """S: the turned response maps with themselves, a mean over points."""
        return self._complete(2, permute=(False, False))

    def _complete(self, row: int, permute: tuple[bool, bool]) -> Float[Tensor, "g p p"]:
        """Every element from the measured ones: an exact move permutes the pixels of a patch, and no response map."""
        if not self.num_points:
            raise ValueError(self.nothing())
        moves, full = exact_moves(self.group, self.kernel_size, self.lattice), []
        for exact, rest in self._factors:
            matrix = self.sums[row, self.measured.index(rest)] / self.num_points
            index = torch.from_numpy(moves[exact].copy()).to(matrix.device)
            for axis in (0, 1):
                if permute[axis]:
                    matrix = matrix.index_select(axis, index)
            full.append(matrix)
        return torch.stack(full)

    def nothing(self) -> str:
        """Why there is nothing to read."""
        owner = type(self).__name__
        if self.num_constant:
            return (
                f"{owner} expects images with some contrast, got {self.num_constant} constant ones. Nothing can be "
                "learned about how filters turn from them."
            )
        return f"{owner} hold no images yet: call update with a batch first."
