"""The basis of a given size with the smallest equivariance error, in closed form.

The equivariance error of an orbit (psi_0 ... psi_{N-1}) is a quadratic form that cyclic shifts leave alone. A Fourier
transform over the group therefore splits it by angular frequency k: with `psi_g = exp(2 pi i k g / N) v` the error is
`v^H M_k v` and the energy `v^H E v`, where

    M_k = sum over g of (Q_g + S_g) - 2 T_k,    E = sum over g of S_g,

with the Fourier transform T_k of C. Every generalized eigenvector v is an orbit, every eigenvalue its relative squared
error. Its real and imaginary parts are two atoms; for the frequencies 0 and N/2 it is real and gives one.
"""

from typing import NamedTuple, final

import numpy as np
import torch
from jaxtyping import Complex, Float

from orbitconv.bases.filter_basis import FixedBasis
from orbitconv.bases.orbits import complete_orbit
from orbitconv.bases.second_moments import SecondMoments, SymmetricMoments, symmetrize
from orbitconv.checks import check_positive
from orbitconv.groups import Group

# Atoms of unit norm must stay this far from linear dependence at every element.
_LEAST_SINGULAR_VALUE = 0.05


class Orbit(NamedTuple):
    """One orbit: a filter that turning multiplies by a phase.

    Args:
        error: Its relative squared equivariance error, a mean over the group.
        frequency: Angular frequency k, 0 ... N/2: turned by one step it is multiplied by exp(2 pi i k / N).
        vector: The filter, flattened, of unit norm; real for the frequencies 0 and N/2.
    """

    error: float
    frequency: int
    vector: Complex[np.ndarray, " p"]

    def atoms(self, step: int, n: int) -> Float[np.ndarray, "d p"]:
        """The orbit's one or two atoms, turned by a number of steps."""
        turned = self.vector * np.exp(2j * np.pi * self.frequency * step / n)
        if 2 * self.frequency % n == 0:
            return np.real(turned)[None]
        return np.sqrt(2) * np.stack([np.real(turned), np.imag(turned)])


@final
class SpectralBasis(FixedBasis):
    """The orbits that images turn best, best first, until a dimension or an error budget is reached.

    No basis of the same size has a smaller equivariance error on the images it was fitted to. Quarter turns and mirrors
    are exact, the group law holds, and the atoms are normalized by their mean Gram matrix over the group.
    Every pair of atoms that turns as one is kept together.

    Give one of `dimension` and `max_error`. More atoms keep more detail and turn less well: low frequencies come first.

    Args:
        group: Cyclic or dihedral, of any order.
        kernel_size: Side of the square kernel, in pixels.
        moments: Second moments of real images for the same group and kernel size, from
            `orbitconv.learn.measure_moments`; measured with `whiten=True` they count all spatial frequencies alike.
        dimension: Number of atoms.
        max_error: Largest relative equivariance error (not squared) of an orbit that is let in.

    Raises:
        TypeError: If the moments are missing, or not exactly one of `dimension` and `max_error` is given.
        ValueError: If the moments are for another group or kernel size, or singular; if no set of orbits has this
            dimension (says which have); if no orbit meets the error budget (says what the best one has).
    """

    def __init__(
        self,
        group: Group,
        kernel_size: int,
        moments: SecondMoments | None = None,
        *,
        dimension: int | None = None,
        max_error: float | None = None,
    ) -> None:
        check_positive("SpectralBasis", kernel_size=kernel_size)
        if (dimension is None) == (max_error is None):
            raise TypeError("SpectralBasis expects one of dimension (atoms) and max_error (relative error), not both.")
        if dimension is not None:
            check_positive("SpectralBasis", dimension=dimension)
        symmetric = symmetrize("SpectralBasis", group, kernel_size, moments)
        n = group.num_rotations
        orbits = independent_orbits(solve_orbits(symmetric), n)
        if dimension is not None:
            chosen = _first(orbits, n, dimension)
        else:
            chosen = [orbit for orbit in orbits if orbit.error**0.5 <= max_error]
            if not chosen:
                raise ValueError(
                    f"SpectralBasis has no orbit of relative error {max_error:g} or less; the best of a "
                    f"{kernel_size}x{kernel_size} kernel under {group} has {min(orbits).error ** 0.5:.3g}."
                )
        window = (kernel_size, kernel_size)

        def turn(g: int) -> Float[np.ndarray, "d p"]:
            return np.concatenate([orbit.atoms(int(group.rotation_steps[g]), n) for orbit in chosen])

        super().__init__(group, kernel_size, torch.from_numpy(complete_orbit(group, window, turn, normalize=True)))
        sizes = [_size(orbit, n) for orbit in chosen]
        self.errors = tuple(float(e) for e in np.repeat([orbit.error**0.5 for orbit in chosen], sizes))
        self.frequencies = tuple(int(k) for k in np.repeat([orbit.frequency for orbit in chosen], sizes))


def available_dimensions(group: Group, kernel_size: int, moments: SecondMoments) -> list[int]:
    """Dimensions that a spectral basis can have.

    Args:
        group: The group.
        kernel_size: Side of the square kernel, in pixels.
        moments: Second moments of real images for both.

    Returns:
        Ascending numbers of atoms.
    """
    n = group.num_rotations
    orbits = independent_orbits(solve_orbits(symmetrize("SpectralBasis", group, kernel_size, moments)), n)
    return _dimensions(orbits, n)


def _dimensions(orbits: list[Orbit], n: int) -> list[int]:
    """Numbers of atoms that the first orbits make up, for one, two, three, ... orbits."""
    return [int(total) for total in np.cumsum([_size(orbit, n) for orbit in orbits])]


def solve_orbits(moments: SymmetricMoments) -> list[Orbit]:
    """All orbits, best first: for each frequency as many as its eigenspace of the exact turn has dimensions.

    Args:
        moments: Symmetric moments.

    Returns:
        Orbits by ascending error. They overlap: see `independent_orbits`.

    Raises:
        ValueError: If the images excite too few directions (constant images, for example).
    """
    n = len(moments.cross)
    energy = moments.responses.sum(0)
    spread = np.linalg.eigvalsh(energy)
    if not spread[0] > 1e-10 * spread[-1]:
        raise ValueError(
            f"SpectralBasis expects images that excite every direction of a filter, got moments of rank "
            f"{int((spread > 1e-10 * spread[-1]).sum())} for {len(spread)} pixels. Use more images, with more detail."
        )
    base, fourier = (moments.patches + moments.responses).sum(0), moments.fourier
    if n == moments.turn_order:  # no orbit has an error: those that images hold most of come first
        base, fourier = np.eye(len(energy)), np.zeros((n, 1, 1))
    orbits = []
    for k in range(n // 2 + 1):
        space = moments.eigenspace(k)
        if not space.shape[1]:
            continue
        form = base - 2 * (np.real(fourier[k]) if 2 * k % n == 0 else fourier[k])
        root = np.linalg.cholesky(space.conj().T @ energy @ space)
        whitened = np.linalg.solve(root, np.linalg.solve(root, space.conj().T @ form @ space).conj().T)
        values, mixing = np.linalg.eigh((whitened + whitened.conj().T) / 2)
        vectors = space @ np.linalg.solve(root.conj().T, mixing)
        for value, v in zip(values, vectors.T, strict=True):
            unit = v / np.linalg.norm(v)
            if moments.mirror is not None:  # the phase at which mirror and conjugation together leave it alone
                unit = unit * np.exp(0.5j * np.angle(np.vdot(unit, moments.mirror @ unit.conj())))
            if 2 * k % n == 0:
                unit = max(np.real(unit), np.imag(unit), key=np.linalg.norm)
            orbits.append(Orbit(max(float(value), 0.0), k, unit))
    orbits.sort(key=lambda orbit: orbit.error)
    return [orbit._replace(error=0.0) for orbit in orbits] if n == moments.turn_order else orbits


def independent_orbits(orbits: list[Orbit], n: int) -> list[Orbit]:
    """Keep, best first, the orbits that stay linearly independent of those before at every rotation.

    Args:
        orbits: Orbits, best first.
        n: Number of rotations.

    Returns:
        The kept ones, in the same order.
    """
    kept: list[Orbit] = []
    spans: list[np.ndarray] = [np.zeros((0, len(orbits[0].vector)))] * n
    for orbit in orbits:
        grown = [np.concatenate([span, orbit.atoms(step, n)]) for step, span in enumerate(spans)]
        if len(grown[0]) > grown[0].shape[1]:
            continue
        if min(np.linalg.svd(_unit_rows(atoms), compute_uv=False)[-1] for atoms in grown) > _LEAST_SINGULAR_VALUE:
            kept.append(orbit)
            spans = grown
    return kept


def _first(orbits: list[Orbit], n: int, dimension: int) -> list[Orbit]:
    """The first orbits that make up a dimension, or an error that names the dimensions there are."""
    totals = _dimensions(orbits, n)
    if dimension not in totals:
        raise ValueError(
            f"SpectralBasis cannot have {dimension} atoms, as pairs of atoms that turn as one stay together. "
            f"Choose from {', '.join(map(str, totals))}."
        )
    return orbits[: totals.index(dimension) + 1]


def _size(orbit: Orbit, n: int) -> int:
    """Number of atoms of an orbit."""
    return 1 if 2 * orbit.frequency % n == 0 else 2


def _unit_rows(atoms: Float[np.ndarray, "d p"]) -> Float[np.ndarray, "d p"]:
    """Rows of unit norm; rows of (almost) no norm stay small, as they are no atoms at all."""
    norms = np.linalg.norm(atoms, axis=1, keepdims=True)
    return atoms / np.maximum(norms, 1e-3)
