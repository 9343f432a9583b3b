"""Orbits that turn by a phase, with the equivariance error of each: what both closed-form bases are made of.

The equivariance error of an orbit (psi_0 ... psi_{N-1}) is a quadratic form that cyclic shifts leave alone. A Fourier
transform over the group therefore splits it by angular frequency k: with `psi_g = exp(2 pi i k g / N) v` the error is
`v^H M_k v` and the energy `v^H E v`, where

    M_k = sum over g of (Q_g + S_g) - 2 T_k,    E = sum over g of S_g,

with the Fourier transform T_k of C. Every generalized eigenvector v is an orbit, every eigenvalue its relative squared
error. Its real and imaginary parts are two atoms; for the frequencies 0 and N/2 it is real and gives one.
"""

from collections.abc import Mapping, Sequence
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


def solve_orbits(moments: SymmetricMoments) -> list[Orbit]:
    """All orbits, best first: for each frequency as many as its eigenspace of the exact turn has dimensions."""
    n = len(moments.cross)
    energy = moments.responses.sum(0)
    check_excited("A closed-form basis", energy)
    exact = n == moments.turn_order  # no orbit has an error: those that images hold most of come first
    orbits = []
    for k in range(n // 2 + 1):
        space = moments.eigenspace(k)
        line = 2 * k % n == 0
        form = np.eye(len(energy)) if exact else _form(moments, k)
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
    return [orbit._replace(error=0.0) for orbit in orbits] if exact else orbits


def _form(moments: SymmetricMoments, k: int) -> Inexact[np.ndarray, "p p"]:
    """M_k, the error of an orbit of frequency k as a form in its filter."""
    n = len(moments.cross)
    fourier = moments.fourier[k]
    return (moments.patches + moments.responses).sum(0) - 2 * (np.real(fourier) if 2 * k % n == 0 else fourier)


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
    """Keep, best first, the orbits that stay linearly independent of those before at every rotation."""
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

    An error names the dimensions there are if a pair would be cut in two.
    """
    totals = dimensions(orbits, n)
    if dimension not in totals:
        raise _cut_pair(owner, dimension, totals)
    return orbits[: totals.index(dimension) + 1]


def smallest_ratio(
    owner: str, moments: SymmetricMoments, spaces: Mapping[int, Inexact[np.ndarray, "p _"]], dimension: int
) -> list[Orbit]:
    """Orthonormal orbits of a given number of atoms whose errors, summed, are the smallest share of their energies.

    A ratio of two sums is no sum of ratios: for a trial ratio rho the lowest eigenvalues of `M_k - rho E` tell which
    orbits to take, and these give a lower rho, until it stands still.

    Raises:
        ValueError: If the images are singular, or no orbits make up this dimension; names those that they make up.

    Source: Ngo, Bellalij & Saad (2012), The trace ratio optimization problem.
    """
    n = len(moments.cross)
    energy = moments.responses.sum(0)
    check_excited(owner, energy)
    forms = {k: _form(moments, k) for k in range(n // 2 + 1) if spaces[k].shape[1]}
    ratio, exact = 1.0, n == moments.turn_order  # without any error, those that images hold most of come first
    chosen, costs, energies = list[Orbit](), np.zeros(0), np.zeros(0)
    for _ in range(100):
        found = []
        for k, form in forms.items():
            for part in _symmetric_parts(spaces[k], moments.mirror, line=2 * k % n == 0):
                cost = part.conj().T @ (-energy if exact else form - ratio * energy) @ part
                values, mixing = np.linalg.eigh((cost + cost.conj().T) / 2)
                found += [Orbit(float(value), k, v) for value, v in zip(values, (part @ mixing).T, strict=True)]
        chosen = _lowest(owner, found, n, dimension)
        weights = np.array([orbit.size(n) for orbit in chosen])
        costs = np.array([np.vdot(o.vector, forms[o.frequency] @ o.vector).real for o in chosen])
        energies = np.array([np.vdot(o.vector, energy @ o.vector).real for o in chosen])
        previous, ratio = ratio, float(weights @ costs / (weights @ energies))
        if exact or abs(previous - ratio) <= 1e-12 * abs(previous):
            break
    shares = np.zeros(len(chosen)) if exact else np.maximum(costs / energies, 0)
    order = (-energies if exact else shares).argsort(kind="stable")
    return [chosen[index]._replace(error=float(shares[index])) for index in order]


def _lowest(owner: str, orbits: list[Orbit], n: int, dimension: int) -> list[Orbit]:
    """The orbits of one and of two atoms that make up a dimension at the lowest cost."""
    orbits = sorted(orbits, key=lambda orbit: orbit.error)
    singles, pairs = ([orbit for orbit in orbits if orbit.size(n) == size] for size in (1, 2))
    made = {count + 2 * twos for count in range(len(singles) + 1) for twos in range(len(pairs) + 1)}
    if dimension not in made:
        raise _cut_pair(owner, dimension, sorted(made - {0}))
    options = [
        singles[:count] + pairs[: (dimension - count) // 2]
        for count in range(min(len(singles), dimension) + 1)
        if (dimension - count) % 2 == 0 and (dimension - count) // 2 <= len(pairs)
    ]
    return min(options, key=lambda some: sum(orbit.size(n) * orbit.error for orbit in some))


def dimensions(orbits: list[Orbit], n: int) -> list[int]:
    """Numbers of atoms that the first orbits make up, for one, two, three, ... orbits."""
    return [int(total) for total in np.cumsum([orbit.size(n) for orbit in orbits])]


def _cut_pair(owner: str, dimension: int, totals: Sequence[int]) -> ValueError:
    """The error for a dimension that would cut a pair of atoms in two."""
    return ValueError(
        f"{owner} cannot have {dimension} atoms, as pairs of atoms that turn as one stay together. Choose from "
        f"{', '.join(map(str, totals))}."
    )
