"""What a closed-form basis reads of images, made symmetric under the exact moves of the pixel grid."""

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Bool, Complex, Float, Inexact
from torch import Tensor

from orbitconv._support.checks import check_finite
from orbitconv.bases.orbits import Lattice, exact_moves, support_of
from orbitconv.groups import Group


@runtime_checkable
class SecondMoments(Protocol):
    """Second moments of images and their turned copies; `orbitconv.learn.Moments` measures them."""

    group: Group
    kernel_size: tuple[int, int]

    @property
    def patches(self) -> Float[Tensor, "g p p"]:
        """Q: patches of the turned image with themselves."""
        ...

    @property
    def cross(self) -> Float[Tensor, "g p p"]:
        """C: patches of the turned image with the turned response maps."""
        ...

    @property
    def responses(self) -> Float[Tensor, "g p p"]:
        """S: the turned response maps with themselves."""
        ...


@dataclass(frozen=True)
class SymmetricMoments:
    """Moments of the rotations of a group, averaged over the moves that map the filter's grid to itself.

    Args:
        patches: Q for each rotation.
        cross: C for each rotation; `C[-g] = C[g]^T`, as the fits see no more of it.
        responses: S for each rotation.
        turn: Permutation matrix of the smallest exact turn.
        turn_order: How many exact turns make a full one: 1, 2 or 4; on hexagons 1, 2, 3 or 6.
        mirror: Permutation matrix of the left-right mirror, for groups that hold it.
        lattice: What the pixels of the filter are.
        support: Which pixels of the flattened window the filter has; on hexagons not those in its corners.
    """

    patches: Float[np.ndarray, "n p p"]
    cross: Float[np.ndarray, "n p p"]
    responses: Float[np.ndarray, "n p p"]
    turn: Float[np.ndarray, "p p"]
    turn_order: int
    mirror: Float[np.ndarray, "p p"] | None
    lattice: Lattice
    support: Bool[np.ndarray, " w"]

    def in_window(self, filters: Float[np.ndarray, "d p"]) -> Float[np.ndarray, "d w"]:
        """Filters, one in each row, as rows of their whole window, zero beside its support."""
        rows = np.zeros((len(filters), len(self.support)))
        rows[:, self.support] = filters
        return rows

    @property
    def fourier(self) -> Complex[np.ndarray, "n p p"]:
        """T[k], the Fourier transform of C over the rotations: Hermitian."""
        n = len(self.cross)
        steps = np.arange(n)
        return np.einsum("kg,gpq->kpq", np.exp(-2j * np.pi * np.outer(steps, steps) / n), self.cross)

    def eigenspace(self, frequency: int) -> Inexact[np.ndarray, "p n"]:
        """Orthonormal columns v with `turn v = exp(2 pi i k / turn_order) v`; real where that factor is."""
        projector = self.project(frequency, np.eye(len(self.turn)))
        real = 2 * frequency % self.turn_order == 0
        values, vectors = np.linalg.eigh(np.real(projector) if real else projector)
        return vectors[:, values > 0.5]

    def project(self, frequency: int, vectors: Inexact[np.ndarray, "p n"]) -> Complex[np.ndarray, "p n"]:
        """The part of vectors that lies in the eigenspace of the exact turn that fits an angular frequency."""
        total = np.zeros_like(vectors, dtype=complex)
        for m in range(self.turn_order):  # undo m exact turns, here and in the phase
            phase = np.exp(-2j * np.pi * (frequency * m % self.turn_order) / self.turn_order)
            total += phase * (np.linalg.matrix_power(self.turn, m) @ vectors)
        return total / self.turn_order


def check_moments(owner: str, group: Group, kernel_size: int, moments: SecondMoments | None) -> SecondMoments:
    """Refuse moments that are not what a basis asks for."""
    if moments is None:
        raise TypeError(
            f"{owner} expects moments of real images to learn how filters turn under {group}, got none. Measure them: "
            f"orbitconv.learn.measure_moments(images, {type(group).__name__}({group.num_rotations}), {kernel_size})."
        )
    if (moments.group, tuple(moments.kernel_size)) != (group, (kernel_size, kernel_size)):
        raise ValueError(
            f"{owner} expects moments for {group} and kernel size {kernel_size}, got moments for {moments.group} "
            f"and {tuple(moments.kernel_size)}. Measure them for this group and size."
        )
    for tensor in (moments.patches, moments.cross, moments.responses):
        check_finite(owner, "moments", tensor)
    return moments


def lattice_of(moments: SecondMoments) -> Lattice:
    """The lattice that moments were measured on; squares where they do not say."""
    return getattr(moments, "lattice", "square")


def check_excited(owner: str, energy: Float[np.ndarray, "p p"]) -> None:
    """Refuse moments of images that leave directions of a filter unseen, such as constant images; says the rank."""
    spread = np.linalg.eigvalsh(energy)
    rank = int((spread > 1e-10 * spread[-1]).sum())
    if not spread[-1] > 0 or rank < len(spread):
        raise ValueError(
            f"{owner} expects images that excite every direction of a filter, got moments of rank {rank} for "
            f"{len(spread)} pixels. Use more images, with more detail."
        )


def symmetrize(owner: str, group: Group, kernel_size: int, moments: SecondMoments | None) -> SymmetricMoments:
    """Check moments against what a basis asks for, and average them over the exact moves."""
    checked = check_moments(owner, group, kernel_size, moments)
    n, window, lattice = group.num_rotations, (kernel_size, kernel_size), lattice_of(checked)
    support = support_of(window, lattice)
    own = np.ix_(support, support)
    moves = {g: np.eye(len(support))[move][own] for g, move in exact_moves(group, window, lattice).items()}
    averaged = []
    for tensor in (checked.patches, checked.cross, checked.responses):
        matrices = tensor.detach().cpu().double().numpy()[:, support][:, :, support]
        mean = np.zeros((n, *matrices.shape[1:]))
        for e, move in moves.items():
            conjugated = group.product[group.product[group.inverse[e], np.arange(n)], e]
            mean += move @ matrices[conjugated] @ move.T / len(moves)
        averaged.append(mean)
    patches, cross, responses = averaged
    cross = (cross + cross[-np.arange(n) % n].transpose(0, 2, 1)) / 2
    turns = sum(1 for e in moves if e < n)
    mirror = moves[n] if group.order > n else None
    return SymmetricMoments(patches, cross, responses, moves[n // turns % n], turns, mirror, lattice, support)
