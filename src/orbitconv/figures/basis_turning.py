"""The numbers behind the pictures of a basis: a pattern that turns, its projections, eigenvalues, inner products."""

import math
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Complex, Float
from torch import Tensor

from orbitconv.bases import FilterBasis
from orbitconv.bases.learned import nearest_orthonormal
from orbitconv.groups import Cyclic, Group
from orbitconv.metrics import normalize_atoms

# Plane waves in a pattern; the shortest is this many pixels long, so that pixels can hold it at any angle.
_WAVES, _SHORTEST = 5, 4.0


@dataclass(frozen=True)
class Pattern:
    """A smooth pattern on the plane, which turns exactly: plane waves under a Gaussian window.

    Args:
        waves: (row, column) wave vectors, in radians per pixel.
        phases: Phase of each wave at the centre, in radians.
        weights: Amplitude of each wave.
        width: Standard deviation of the window, in pixels.
    """

    waves: Float[np.ndarray, "w 2"]
    phases: Float[np.ndarray, " w"]
    weights: Float[np.ndarray, " w"]
    width: float

    def turned(self, group: Group, g: int, kernel_size: tuple[int, int], fineness: int = 1) -> Float[np.ndarray, "h w"]:
        """The pattern transformed by a group element, sampled over the area of a filter."""
        shape = (kernel_size[0] * fineness, kernel_size[1] * fineness)
        centre = (np.array([[shape[0]], [shape[1]]]) - 1) / 2
        points = group.matrix(g).T @ ((np.indices(shape).reshape(2, -1) - centre) / fineness)
        values = self.weights @ np.cos(self.waves @ points + self.phases[:, None])
        return (values * np.exp(-(points**2).sum(0) / (2 * self.width**2))).reshape(shape)


def random_pattern(kernel_size: tuple[int, int], seed: int) -> Pattern:
    """A pattern as wide as a filter, with no symmetry of its own."""
    random = np.random.default_rng(seed)
    side = max(kernel_size)
    lengths = random.uniform(_SHORTEST, max(2 * side, _SHORTEST + 1), _WAVES)
    directions, phases = random.uniform(0, 2 * math.pi, (2, _WAVES))
    waves = 2 * math.pi / lengths[:, None] * np.stack([np.sin(directions), np.cos(directions)], axis=1)
    # A wave of no frequency at all makes the mean zero; a single pixel has nothing else to show.
    flat = Pattern(np.zeros((1, 2)), np.zeros(1), np.ones(1), 0.4 * side)
    drawn = Pattern(waves, phases, random.normal(size=_WAVES), 0.4 * side)
    upright = [pattern.turned(Cyclic(1), 0, kernel_size) for pattern in (flat, drawn)]
    level = upright[1].sum() / upright[0].sum() if side > 1 else 0.0
    norm = np.linalg.norm(upright[1] - level * upright[0])
    weights = np.append(drawn.weights, -level) / norm
    return Pattern(np.append(waves, flat.waves, axis=0), np.append(phases, 0.0), weights, drawn.width)


def atoms_of(basis: FilterBasis) -> Float[Tensor, "g d ky kx"]:
    """The atoms in float64, on the CPU."""
    return basis(torch.float64).detach().cpu()


def turn_filter(target: Float[np.ndarray, "ky kx"], basis: FilterBasis) -> Float[np.ndarray, "g ky kx"]:
    """The filter of a basis that is nearest to a target, turned by switching the atoms."""
    atoms = atoms_of(basis)
    coefficients = torch.from_numpy(target).reshape(1, -1) @ torch.linalg.pinv(atoms[0].flatten(1))
    return torch.einsum("d,gdyx->gyx", coefficients[0], atoms).numpy()


def one_step_eigenvalues(basis: FilterBasis) -> Complex[np.ndarray, " d"]:
    """Eigenvalues of the map from the filters at the identity to those at group element 1.

    Of modulus one wherever turns add up to a full one; less where every step loses something. A filter that turns to
    one outside the span of the atoms at the identity counts with what lies inside.
    """
    atoms = atoms_of(basis).flatten(2)
    step = min(1, len(atoms) - 1)
    return torch.linalg.eigvals(atoms[step] @ torch.linalg.pinv(atoms[0])).numpy()


def multiplicities(values: Complex[np.ndarray, " d"], within: float = 0.04) -> list[tuple[complex, int]]:
    """Eigenvalues that lie so near each other that a picture cannot tell them apart, taken together."""
    clusters: list[list[complex]] = []
    for value in sorted(values.tolist(), key=lambda z: (round(abs(z), 6), round(np.angle(z), 6))):
        near = next((cluster for cluster in clusters if abs(cluster[0] - value) <= within), None)
        if near is None:
            clusters.append([value])
        else:
            near.append(value)
    return [(complex(np.mean(cluster)), len(cluster)) for cluster in clusters]


def angular_frequencies(basis: FilterBasis) -> list[int] | None:
    """The angular frequency of each atom, from 0 to N/2: over a full turn of the group the atom comes back k times.

    None for pixels and other atoms that mix frequencies.
    """
    n = basis.group.num_rotations
    power = torch.fft.fft(atoms_of(basis)[:n].flatten(2), dim=0).abs().square().sum(2)
    folded = power[: n // 2 + 1].clone()
    folded[1 : (n + 1) // 2] += power[n // 2 + 1 :].flip(0)
    share, frequency = (folded / folded.sum(0)).max(0)
    return frequency.tolist() if float(share.min()) > 1 - 1e-6 else None


def inner_products(basis: FilterBasis, g: int) -> Float[np.ndarray, "d d"]:
    """Inner products of the atoms at one group element, `A_g A_g^T` with `A_g = G^(-1/2) B_g`.

    They are the identity matrix if the turn keeps norms.
    """
    normalized = normalize_atoms(basis).atoms.cpu()
    # Metrics leave open which rotation of the atoms they take; the one nearest to the atoms themselves is symmetric.
    mixing = nearest_orthonormal(torch.einsum("gdp,gep->de", atoms_of(basis).flatten(2), normalized))
    atoms = mixing @ normalized[g]
    return (atoms @ atoms.T).numpy()


def eighth(group: Group) -> int:
    """The rotation nearest to 45 degrees, where no grid is exact."""
    n = group.num_rotations
    return min(range(1, n), key=lambda g: abs(8 * g - n), default=0)
