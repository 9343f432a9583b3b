import numpy as np
import pytest

from orbitconv.bases.second_moments import SymmetricMoments, symmetrize
from orbitconv.groups import Cyclic, Dihedral
from references import smooth_moments

CASES = [(Cyclic(8), 3), (Cyclic(6), 4), (Cyclic(5), 3), (Dihedral(8), 3), (Dihedral(6), 2), (Dihedral(3), 3)]


@pytest.fixture(params=CASES, ids=lambda case: f"{case[0]}-{case[1]}")
def symmetric(request) -> SymmetricMoments:
    return symmetrize("test", *request.param, smooth_moments(*request.param, 8))


def test_moments_commute_with_the_exact_turn(symmetric):
    for matrices in (symmetric.patches, symmetric.cross, symmetric.responses):
        turned = symmetric.turn @ matrices @ symmetric.turn.T
        np.testing.assert_allclose(turned, matrices, rtol=0, atol=1e-14)


def test_mirror_takes_each_rotation_to_its_inverse(symmetric):
    if symmetric.mirror is None:
        assert symmetric.turn_order == np.gcd(len(symmetric.cross), 4)
        return
    back = -np.arange(len(symmetric.cross)) % len(symmetric.cross)
    for matrices in (symmetric.patches, symmetric.cross, symmetric.responses):
        mirrored = symmetric.mirror @ matrices @ symmetric.mirror.T
        np.testing.assert_allclose(mirrored, matrices[back], rtol=0, atol=1e-14)


def test_cross_moment_of_the_inverse_is_the_transpose(symmetric):
    back = -np.arange(len(symmetric.cross)) % len(symmetric.cross)
    np.testing.assert_allclose(symmetric.cross[back], symmetric.cross.transpose(0, 2, 1), rtol=0, atol=1e-14)


def test_fourier_transform_is_the_one_of_numpy_and_hermitian(symmetric):
    np.testing.assert_allclose(symmetric.fourier, np.fft.fft(symmetric.cross, axis=0), rtol=0, atol=1e-12)
    np.testing.assert_allclose(symmetric.fourier, symmetric.fourier.conj().transpose(0, 2, 1), rtol=0, atol=1e-12)


def test_eigenspaces_split_all_pixels(symmetric):
    p, order = len(symmetric.turn), symmetric.turn_order
    spaces = [symmetric.eigenspace(k) for k in range(order)]
    for k, space in enumerate(spaces):
        np.testing.assert_allclose(symmetric.turn @ space, np.exp(2j * np.pi * k / order) * space, rtol=0, atol=1e-14)
    together = np.concatenate(spaces, axis=1)
    np.testing.assert_allclose(together.conj().T @ together, np.eye(p), rtol=0, atol=1e-13)
