"""The learned basis: complete, unitary, a representation of the group, exact at quarter turns."""

from typing import final

import numpy as np
import torch
from jaxtyping import Float

from orbitconv._support.checks import check_positive
from orbitconv.bases.cyclic_fit import fit_cyclic_unitary
from orbitconv.bases.filter_basis import FixedBasis
from orbitconv.bases.orbit_spectrum import Orbit, smallest_ratio
from orbitconv.bases.orbits import Lattice, complete_orbit, support_of
from orbitconv.bases.second_moments import SecondMoments, SymmetricMoments, check_excited, lattice_of, symmetrize
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

    With `dimension` the orbits that turn worst are dropped: a dial between detail and stability. Those that are left
    have together the smallest error that so many of the map's orbits can have. They are orthonormal at every element
    and a representation of the group, best orbit first, and quarter turns stay exact.

    Args:
        group: Cyclic or dihedral, of any order.
        kernel_size: Side of the square kernel, in pixels. Rectangles are not supported: no turn maps a rectangle
            to itself but the half turn.
        moments: Second moments of real images for the same group and kernel size, from
            `orbitconv.learn.measure_moments`. Groups of quarter turns need none for the complete set. Those from
            `measure_hexagonal_moments` make a basis on hexagons, of side 2 radius + 1, exact at 60 degrees.
        dimension: Number of atoms; all by default. A pair of atoms that turns as one is never cut in two.

    Attributes:
        errors: With `dimension`, the relative equivariance error of every atom's orbit on the images of the fit.
        frequencies: With `dimension`, the angular frequency of every atom.

    Raises:
        TypeError: If moments are needed and missing.
        ValueError: If the moments are for another group or kernel size, not finite, or singular; if no set of the
            best orbits has this dimension (says which have).

    Source: Diaconu & Worrall (2019), section 3, for the aim; the closed form is described in docs/concepts.md.
    """

    def __init__(
        self,
        group: Group,
        kernel_size: int,
        moments: SecondMoments | None = None,
        *,
        dimension: int | None = None,
    ) -> None:
        check_positive("UnitaryBasis", kernel_size=kernel_size)
        window, n = (kernel_size, kernel_size), group.num_rotations
        lattice: Lattice = "square" if moments is None else lattice_of(moments)
        pixels = np.eye(kernel_size**2)[support_of(window, lattice)]
        orbits: list[Orbit] = []
        if dimension is not None:
            check_positive("UnitaryBasis", dimension=dimension)
            symmetric = symmetrize("UnitaryBasis", group, kernel_size, moments)
            orbits = _best_orbits(symmetric, dimension)

            def turned(g: int) -> Float[np.ndarray, "d p"]:
                return np.concatenate([o.atoms(int(group.rotation_steps[g]), n) for o in orbits])

            atoms = complete_orbit(group, window, lambda g: symmetric.in_window(turned(g)), lattice=lattice)
        elif kernel_size == 1 or (4 if lattice == "square" else 6) % n == 0:
            atoms = complete_orbit(group, window, lambda _: pixels, lattice=lattice)
        else:
            symmetric = symmetrize("UnitaryBasis", group, kernel_size, moments)
            pixels = np.eye(len(pixels))
            check_excited("UnitaryBasis", symmetric.responses.sum(0))
            split = fit_cyclic_unitary(symmetric)
            if split.dimension < len(pixels):
                values, vectors = np.linalg.eigh(split.power(0, n))
                pixels = vectors.T[values > 0.5]
            atoms = complete_orbit(
                group, window, lambda g: symmetric.in_window(pixels @ split.power(g, n).T), lattice=lattice
            )
        super().__init__(group, kernel_size, torch.from_numpy(atoms), lattice)
        self.errors = tuple(orbit.error**0.5 for orbit in orbits for _ in range(orbit.size(n)))
        self.frequencies = tuple(orbit.frequency for orbit in orbits for _ in range(orbit.size(n)))


def _best_orbits(moments: SymmetricMoments, dimension: int) -> list[Orbit]:
    """The orbits of the best orthogonal map that together have the smallest error, orthonormal to each other."""
    n = len(moments.cross)
    if n == moments.turn_order:  # the map is the exact turn itself
        spaces = {k: moments.eigenspace(k) for k in range(n)}
    else:
        spaces = dict(fit_cyclic_unitary(moments).spaces)
        for k in (k for k in spaces if 2 * k % n == 0):  # columns are real or imaginary: take them as real
            spaces[k] = np.real(spaces[k]) + np.imag(spaces[k])
    return smallest_ratio("UnitaryBasis", moments, spaces, dimension)
