"""The learned basis: complete, unitary, a representation of the group, exact at quarter turns."""

from typing import final

import numpy as np
import torch

from orbitconv.bases.cyclic_fit import fit_cyclic_unitary
from orbitconv.bases.filter_basis import FixedBasis
from orbitconv.bases.orbits import complete_orbit
from orbitconv.bases.second_moments import SecondMoments, symmetrize
from orbitconv.checks import check_positive
from orbitconv.groups import Group


@final
class UnitaryBasis(FixedBasis):
    """How filters turn, learned from images: orthogonal maps `M_g` with `M_g M_h = M_gh`, to machine precision.

    Among such sets whose quarter turns and mirrors are the exact ones, the fit looks for the one that brings the
    filtered turned image nearest to the turned filtered image. For N up to 2 gcd(N, 4), C8 among them, it is found in
    closed form in the eigenspaces of the exact turn; beyond that by a search that climbs from several starts. The
    atoms at the identity are the pixels of the kernel, so the coefficients of a filter are its pixels and any existing
    filter carries over.

    For N divisible by 8 and kernels of side 2, 6, 10, ... no complete set exists: a checkerboard changes sign
    under the quarter turn, its eighth turn would have to be another such pattern, and their number is odd. Dihedral
    groups need as many such patterns that are even under the mirror as odd ones, which even sides do not have. The
    patterns without a partner are left out; `is_complete` tells, and the atoms are then an orthonormal set.

    Args:
        group: Cyclic or dihedral, of any order.
        kernel_size: Side of the square kernel, in pixels. Rectangles are not supported: no turn maps a rectangle
            to itself but the half turn.
        moments: Second moments of real images for the same group and kernel size, from
            `orbitconv.learn.measure_moments`. Groups of quarter turns need none.

    Raises:
        TypeError: If moments are needed and missing.
        ValueError: If the moments are for another group or kernel size, or not finite.

    Source: Diaconu & Worrall (2019), section 3, for the aim; the closed form is described in docs/concepts.md.
    """

    def __init__(self, group: Group, kernel_size: int, moments: SecondMoments | None = None) -> None:
        check_positive("UnitaryBasis", kernel_size=kernel_size)
        window = (kernel_size, kernel_size)
        pixels = np.eye(kernel_size**2)
        if kernel_size == 1 or 4 % group.num_rotations == 0:
            atoms = complete_orbit(group, window, lambda _: pixels)
        else:
            split = fit_cyclic_unitary(symmetrize("UnitaryBasis", group, kernel_size, moments))
            if split.dimension < len(pixels):
                values, vectors = np.linalg.eigh(split.power(0, group.num_rotations))
                pixels = vectors.T[values > 0.5]
            atoms = complete_orbit(group, window, lambda g: pixels @ split.power(g, group.num_rotations).T)
        super().__init__(group, kernel_size, torch.from_numpy(atoms))
