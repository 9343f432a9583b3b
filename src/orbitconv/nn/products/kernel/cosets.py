"""A layer on a dihedral group as one on its rotations, of twice as many fields.

The mirrors are a second copy of the rotations that turns along: element N + g is the mirror, then the rotation g. So a
field of 2 N planes is two of N. Of the two outputs, the mirrored one has the filters

    sum over d of c[m^-1 h, d] basis[N + g, d],    basis[N + g, d] = sum over d' of mirror[d', d] basis[g, d'],

which are filters of the same basis if a mirror leaves the span of the atoms as it is.
"""

from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from orbitconv.groups import Dihedral

_EXACT = 3e-7
"""Largest deviation from mirrored atoms, relative to the largest number of one: the rounding of float32."""


@dataclass(frozen=True, eq=False)
class Cosets:
    """How coefficients of a dihedral group become those of its rotations.

    `mirrored` is the product of the mirror and every element; `mirror` writes mirrored atoms as sums of atoms.
    """

    mirrored: Int[Tensor, " g"]
    mirror: Float[Tensor, "d d"]

    def spread(self, coefficients: Float[Tensor, "o i g d"]) -> Float[Tensor, "o2 i2 m d"]:
        """Coefficients of twice as many fields, rotations before mirrors."""
        outputs, inputs, order, num_atoms = coefficients.shape
        other = coefficients.index_select(2, self.mirrored) @ self.mirror.T.to(coefficients.dtype)
        both = torch.stack([coefficients, other], dim=1)
        return both.view(2 * outputs, 2 * inputs, order // 2, num_atoms)

    def gather(self, gradient: Float[Tensor, "o2 i2 m d"]) -> Float[Tensor, "o i g d"]:
        """The transpose of `spread`."""
        outputs, inputs, half, num_atoms = gradient.shape
        both = gradient.view(outputs // 2, 2, inputs // 2, 2 * half, num_atoms)
        other = (both[:, 1] @ self.mirror.to(gradient.dtype)).index_select(2, self.mirrored)  # which is its own inverse
        return both[:, 0] + other


def cosets_of(group: Any, atoms: Float[Tensor, "g d ky kx"]) -> Cosets | None:
    """The tables of a basis, from float64; None for other groups, and if a mirrored atom is no sum of atoms."""
    if not isinstance(group, Dihedral):
        return None
    half, num_atoms = group.num_rotations, atoms.shape[1]
    turned, mirrored = (part.movedim(1, -1).reshape(-1, num_atoms) for part in (atoms[:half], atoms[half:]))
    mirror = torch.linalg.lstsq(turned, mirrored).solution
    if not (turned @ mirror - mirrored).abs().max() <= _EXACT * atoms.abs().max():
        return None
    return Cosets(torch.tensor(group.quotient[half].tolist(), device="cpu"), mirror)
