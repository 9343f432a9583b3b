"""The orbits with the smallest equivariance error, in closed form."""

import math
from typing import final

import numpy as np
import torch
from jaxtyping import Float

from orbitconv._support.checks import check_positive
from orbitconv.bases.filter_basis import FixedBasis
from orbitconv.bases.orbit_spectrum import Orbit, dimensions, first_orbits, independent_orbits, solve_orbits
from orbitconv.bases.orbits import complete_orbit
from orbitconv.bases.second_moments import SecondMoments, SymmetricMoments, symmetrize
from orbitconv.groups import Group


@final
class SpectralBasis(FixedBasis):
    """The orbits that images turn best, best first, until a dimension or an error budget is reached.

    No orbit that is independent of those before it has a smaller equivariance error on the images of the fit: a
    basis of fewer atoms is the first part of one of more. (The error of a whole basis is a ratio of sums; at small
    sizes no choice of orbits is more than about 1 % below this one, close to all pixels some are.) Quarter turns
    and mirrors are exact, the group law holds, and the atoms are normalized by their mean Gram matrix over the
    group. Every pair of atoms that turns as one is kept together.

    Give one of `dimension` and `max_error`. More atoms keep more detail and turn less well: low frequencies come first.

    Args:
        group: Cyclic or dihedral, of any order.
        kernel_size: Side of the square kernel, in pixels.
        moments: Second moments of real images for the same group and kernel size, from
            `orbitconv.learn.measure_moments`; measured with `whiten=True` they count all spatial frequencies alike.
            Those from `measure_hexagonal_moments` make a basis on hexagons, of side 2 radius + 1, exact at 60 degrees.
        dimension: Number of atoms.
        max_error: Largest relative equivariance error (not squared) of an orbit that is let in.
        max_frequency: Highest angular frequency k that is let in; all up to N/2 by default. A real orbit of k = N/2
            has one atom and vanishes half-way between two elements of the group: where images turn by any angle, take
            `(N - 1) // 2`.

    Raises:
        TypeError: If the moments are missing, or not exactly one of `dimension` and `max_error` is given.
        ValueError: If the moments are for another group or kernel size, or singular; if no set of orbits has this
            dimension (says which have); if the error budget is negative or not finite, or no orbit meets it (says what
            the best one has).
    """

    def __init__(
        self,
        group: Group,
        kernel_size: int,
        moments: SecondMoments | None = None,
        *,
        dimension: int | None = None,
        max_error: float | None = None,
        max_frequency: int | None = None,
    ) -> None:
        check_positive("SpectralBasis", kernel_size=kernel_size)
        if (dimension is None) == (max_error is None):
            raise TypeError("SpectralBasis expects one of dimension (atoms) and max_error (relative error), not both.")
        if dimension is not None:
            check_positive("SpectralBasis", dimension=dimension)
        if max_error is not None and not (math.isfinite(max_error) and max_error >= 0):
            raise ValueError(
                f"SpectralBasis expects max_error of zero or more, and finite, got {max_error:g}. Give the largest "
                "relative error to let in, such as 0.1."
            )
        symmetric = symmetrize("SpectralBasis", group, kernel_size, moments)
        n = group.num_rotations
        orbits = _orbits(symmetric, max_frequency)
        if dimension is not None:
            chosen = first_orbits("SpectralBasis", orbits, n, dimension)
        else:
            chosen = [orbit for orbit in orbits if orbit.error**0.5 <= max_error]
            if not chosen:
                best = min(orbit.error for orbit in orbits) ** 0.5
                raise ValueError(
                    f"SpectralBasis has no orbit of relative error {max_error:g} or less; the best of a "
                    f"{kernel_size}x{kernel_size} kernel under {group} has {best:.3g}."
                )
        window = (kernel_size, kernel_size)

        def turn(g: int) -> Float[np.ndarray, "d p"]:
            atoms = np.concatenate([orbit.atoms(int(group.rotation_steps[g]), n) for orbit in chosen])
            return symmetric.in_window(atoms)

        lattice = symmetric.lattice
        atoms = complete_orbit(group, window, turn, normalize=True, lattice=lattice)
        super().__init__(group, kernel_size, torch.from_numpy(atoms), lattice)
        sizes = [orbit.size(n) for orbit in chosen]
        self.errors = tuple(float(e) for e in np.repeat([orbit.error**0.5 for orbit in chosen], sizes))
        self.frequencies = tuple(int(k) for k in np.repeat([orbit.frequency for orbit in chosen], sizes))


def available_dimensions(
    group: Group, kernel_size: int, moments: SecondMoments, *, max_frequency: int | None = None
) -> list[int]:
    """Dimensions that a spectral basis can have.

    Args:
        group: The group.
        kernel_size: Side of the square kernel, in pixels.
        moments: Second moments of real images for both.
        max_frequency: Highest angular frequency that is let in.

    Returns:
        Ascending numbers of atoms.
    """
    symmetric = symmetrize("SpectralBasis", group, kernel_size, moments)
    return dimensions(_orbits(symmetric, max_frequency), group.num_rotations)


def _orbits(moments: SymmetricMoments, max_frequency: int | None) -> list[Orbit]:
    """Independent orbits up to a frequency, best first."""
    if max_frequency is not None and max_frequency < 0:
        raise ValueError(f"SpectralBasis expects max_frequency >= 0, got {max_frequency}.")
    found = solve_orbits(moments)
    if max_frequency is not None:
        found = [orbit for orbit in found if orbit.frequency <= max_frequency]
    return independent_orbits(found, len(moments.cross))
