import itertools
import math

import numpy as np
import pytest
import scipy.linalg
import scipy.optimize

from orbitconv.bases import cyclic_fit
from orbitconv.bases.cyclic_fit import fit_cyclic_unitary
from orbitconv.bases.second_moments import SymmetricMoments, symmetrize
from orbitconv.groups import Cyclic, Dihedral, Group
from references import smooth_moments


def symmetric(group: Group, side: int) -> SymmetricMoments:
    return symmetrize("test", group, side, smooth_moments(group, side, 8))


def rotation_blocks(angles: tuple[float, ...], size: int) -> np.ndarray:
    """Rotations by the angles in planes of their own, ones on the rest of the diagonal."""
    planes = [[[math.cos(a), -math.sin(a)], [math.sin(a), math.cos(a)]] for a in angles]
    return scipy.linalg.block_diag(*planes, np.eye(size - 2 * len(angles)))


def gain(step: np.ndarray, cross: np.ndarray) -> float:
    return sum(float(np.sum(np.linalg.matrix_power(step, g) * cross[g])) for g in range(len(cross)))


@pytest.mark.parametrize("n", [3, 5, 7])
def test_finds_the_best_that_a_search_over_all_rotations_finds(n):
    moments = symmetric(Cyclic(n), 2)
    cross = moments.cross
    frequencies = range(1, n // 2 + 1)
    choices = [c for pairs in range(3) for c in itertools.combinations_with_replacement(frequencies, pairs)]
    upper = np.triu_indices(4, 1)
    best = -np.inf
    rng = np.random.default_rng(0)
    for choice in choices:
        blocks = rotation_blocks(tuple(2 * math.pi * k / n for k in choice), 4)

        def loss(parameters, blocks=blocks):
            skew = np.zeros((4, 4))
            skew[upper] = parameters
            q = scipy.linalg.expm(skew - skew.T)
            return -gain(q @ blocks @ q.T, cross)

        for flip in (1, -1):  # the other orientation of the space
            blocks[:, 0] *= flip
            blocks[0] *= flip
            starts = rng.normal(size=(2, 6))
            best = max(best, *(-scipy.optimize.minimize(loss, start).fun for start in starts))
    split = fit_cyclic_unitary(moments)
    found = gain(split.power(1, n), cross)
    assert found == pytest.approx(best, rel=1e-6)


def test_finds_the_best_of_all_choices_where_there_are_finitely_many():
    # C6 on 2x2 pixels: the half turn leaves two planes, and in each the sixth turn is one of three maps.
    moments = symmetric(Cyclic(6), 2)
    cross, half_turn = moments.cross, moments.turn
    even, odd = (np.linalg.eigh(half_turn)[1][:, columns] for columns in (slice(2, 4), slice(0, 2)))
    best = -np.inf
    for a, b in itertools.product([0, 1, -1], [0.5, -0.5, 1.5]):
        planes = [rotation_blocks((2 * math.pi * k / 3,), 2) for k in (a, b)]
        step = even @ planes[0] @ even.T + odd @ planes[1] @ odd.T
        np.testing.assert_allclose(np.linalg.matrix_power(step, 3), half_turn, atol=1e-12)
        best = max(best, gain(step, cross))
    split = fit_cyclic_unitary(moments)
    assert gain(split.power(1, 6), cross) == pytest.approx(best, rel=1e-10)


@pytest.mark.parametrize(
    "case", [(Cyclic(12), 3), (Cyclic(16), 5), (Cyclic(7), 3), (Dihedral(12), 3), (Dihedral(5), 3)], ids=str
)
def test_neither_step_ever_lowers_the_fit(case):
    group, side = case
    moments = symmetric(group, side)
    turn_order, mirror = moments.turn_order, moments.mirror
    fourier = moments.fourier
    fourier = fourier - min(float(np.linalg.eigvalsh(fourier).min()), 0.0) * np.eye(side**2)

    def fit(spaces):
        return sum(np.trace(v.conj().T @ fourier[k] @ v).real for k, v in spaces.items())

    raised = False
    for rng in (None, np.random.default_rng(0), np.random.default_rng(1)):
        spaces = cyclic_fit._start(moments, rng)
        fits = [fit(spaces)]
        for _ in range(20):
            cyclic_fit._share_pairwise(fourier, spaces, turn_order, mirrored=mirror is not None)
            fits.append(fit(spaces))
            cyclic_fit._move_together(fourier, spaces, moments)
            fits.append(fit(spaces))
        assert np.diff(fits).min() >= -1e-10 * abs(fits[0])
        raised |= fits[-1] > fits[0] * (1 + 1e-6)
    assert raised


def test_fit_value_is_the_trace_it_stands_for():
    moments = symmetric(Cyclic(8), 3)
    cross = moments.cross
    split = fit_cyclic_unitary(moments)
    eigenvalues = np.linalg.eigvalsh(
        np.einsum("kg,gpq->kpq", np.exp(-2j * np.pi * np.outer(np.arange(8), np.arange(8)) / 8), cross)
    )
    shift = -min(eigenvalues.min(), 0) * 9  # the fit is measured on transforms made positive
    assert split.fit == pytest.approx(gain(split.power(1, 8), cross) + shift, rel=1e-9)


@pytest.mark.parametrize("case", [(Cyclic(8), 3), (Dihedral(8), 4), (Cyclic(9), 3)], ids=str)
def test_spaces_are_orthonormal_and_closed_under_conjugation(case):
    group, side = case
    split = fit_cyclic_unitary(symmetric(group, side))
    n = group.num_rotations
    together = np.concatenate(list(split.spaces.values()), axis=1)
    assert together.shape[1] == split.dimension
    np.testing.assert_allclose(together.conj().T @ together, np.eye(split.dimension), rtol=0, atol=1e-12)
    for k, v in split.spaces.items():
        conjugate = split.spaces[-k % n].conj()
        np.testing.assert_allclose(v @ v.conj().T, conjugate @ conjugate.conj().T, rtol=0, atol=1e-12)
