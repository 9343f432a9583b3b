"""Orbits that turn by a phase, with the equivariance error of each: what both closed-form bases are made of.

The equivariance error of an orbit (psi_0 ... psi_{N-1}) is a quadratic form that cyclic shifts leave alone. A Fourier
transform over the group therefore splits it by angular frequency k: with `psi_g = exp(2 pi i k g / N) v` the error is
`v^H M_k v` and the energy `v^H E v`, where

    M_k = sum over g of (Q_g + S_g) - 2 T_k,    E = sum over g of S_g,

with the Fourier transform T_k of C. Every generalized eigenvector v is an orbit, every eigenvalue its relative squared
error. Its real and imaginary parts are two atoms; for the frequencies 0 and N/2 it is real and gives one.
"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from jaxtyping import Complex, Float, Inexact

from orbitconv.bases.second_moments import SymmetricMoments, check_excited

# Atoms of unit root-mean-square norm over the group must stay this far from linear dependence at every element.
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

    def size(self, n: int) -> int:
        """Number of its atoms."""
        return 1 if 2 * self.frequency % n == 0 else 2

    def atoms(self, step: int, n: int) -> Float[np.ndarray, "d p"]:
        """The orbit's one or two atoms, turned by a number of steps."""
        turned = self.vector * np.exp(2j * np.pi * self.frequency * step / n)
        if self.size(n) == 1:
            return np.real(turned)[None]
        return np.sqrt(2) * np.stack([np.real(turned), np.imag(turned)])


def solve_orbits(
    moments: SymmetricMoments, spaces: Mapping[int, Inexact[np.ndarray, "p _"]] | None = None
) -> list[Orbit]:
    """All orbits, best first: for each frequency as many as its space has dimensions.

    Args:
        moments: Symmetric moments.
        spaces: Orthonormal columns that span the filters of each frequency; by default the eigenspaces of the exact
            turn, in which quarter turns are exact.

    Returns:
        Orbits by ascending error. Those of eigenspaces overlap: see `independent_orbits`.

    Raises:
        ValueError: If the images excite too few directions (constant images, for example).
    """
    n = len(moments.cross)
    energy = moments.responses.sum(0)
    check_excited("A closed-form basis", energy)
    base, fourier = (moments.patches + moments.responses).sum(0), moments.fourier
    if n == moments.turn_order:  # no orbit has an error: those that images hold most of come first
        base, fourier = np.eye(len(energy)), np.zeros((n, 1, 1))
    orbits = []
    for k in range(n // 2 + 1):
        space = moments.eigenspace(k) if spaces is None else spaces[k]
        line = 2 * k % n == 0
        form = base - 2 * (np.real(fourier[k]) if line else fourier[k])
        for part in _symmetric_parts(space, moments.mirror, line=line):
            weight, cost = (part.conj().T @ matrix @ part for matrix in (energy, form))
            if line or moments.mirror is not None:
                weight, cost = np.real(weight), np.real(cost)
            root = np.linalg.cholesky(weight)
            whitened = np.linalg.solve(root, np.linalg.solve(root, cost).conj().T)
            values, mixing = np.linalg.eigh((whitened + whitened.conj().T) / 2)
            vectors = part @ np.linalg.solve(root.conj().T, mixing)
            for value, v in zip(values, vectors.T, strict=True):
                orbits.append(Orbit(max(float(value), 0.0), k, v / np.linalg.norm(v)))
    orbits.sort(key=lambda orbit: orbit.error)
    return [orbit._replace(error=0.0) for orbit in orbits] if n == moments.turn_order else orbits


def _symmetric_parts(
    space: Inexact[np.ndarray, "p n"], mirror: Float[np.ndarray, "p p"] | None, *, line: bool
) -> list[Inexact[np.ndarray, "p _"]]:
    """Columns whose real combinations are mirrored exactly.

    A mirror reverses turns and so does conjugation: both together keep the space of a frequency. A real filter must be
    even or odd; a complex one is left alone by both together, as are the columns given here.
    """
    if mirror is None or not space.shape[1]:
        parts = [space]
    elif line:
        signs, mixing = np.linalg.eigh(space.T @ mirror @ space)
        parts = [space @ mixing[:, signs > 0], space @ mixing[:, signs < 0]]
        parts = [(part + sign * mirror @ part) / 2 for part, sign in zip(parts, (1, -1), strict=True)]
    else:
        mirrored = mirror @ space.conj()
        fixed = np.concatenate([space + mirrored, 1j * (space - mirrored)], axis=1)
        values, mixing = np.linalg.eigh(np.real(fixed.conj().T @ fixed))
        own = slice(-space.shape[1], None)  # the others are zero: the columns of `fixed` are twice as many
        parts = [fixed @ mixing[:, own] / np.sqrt(values[own])]
    return [part for part in parts if part.shape[1]]


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
        if min(np.linalg.svd(atoms, compute_uv=False)[-1] for atoms in grown) > _LEAST_SINGULAR_VALUE:
            kept.append(orbit)
            spans = grown
    return kept


def first_orbits(owner: str, orbits: list[Orbit], n: int, dimension: int) -> list[Orbit]:
    """The first orbits that make up a dimension.

    Args:
        owner: Who asks, for the error message.
        orbits: Orbits, best first.
        n: Number of rotations.
        dimension: Number of atoms.

    Returns:
        The orbits.

    Raises:
        ValueError: If a pair of atoms would be cut in two; names the dimensions there are.
    """
    totals = dimensions(orbits, n)
    if dimension not in totals:
        raise ValueError(
            f"{owner} cannot have {dimension} atoms, as pairs of atoms that turn as one stay together. "
            f"Choose from {', '.join(map(str, totals))}."
        )
    return orbits[: totals.index(dimension) + 1]


def dimensions(orbits: list[Orbit], n: int) -> list[int]:
    """Numbers of atoms that the first orbits make up, for one, two, three, ... orbits.

    Args:
        orbits: Orbits, best first.
        n: Number of rotations.

    Returns:
        Ascending numbers.
    """
    return [int(total) for total in np.cumsum([orbit.size(n) for orbit in orbits])]
