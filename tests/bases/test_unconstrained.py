import numpy as np
import pytest
import scipy.linalg
import torch

from orbitconv.bases import LeastSquaresBasis, ProcrustesBasis, UnitaryBasis
from orbitconv.groups import Cyclic, Dihedral
from orbitconv.learn import Moments
from orbitconv.metrics import basis_equivariance_error, group_law_error, unitarity_error
from references import smooth_images, smooth_moments, turn

GROUPS = [Cyclic(8), Cyclic(5), Dihedral(8)]


@pytest.mark.parametrize("group", GROUPS, ids=str)
@pytest.mark.parametrize("family", [LeastSquaresBasis, ProcrustesBasis])
def test_fit_is_that_of_scipy_on_the_stacked_patches(group, family):
    # A stand-in whose moments come from explicit matrices X and Y, to be handed to SciPy as they are.
    rng = np.random.default_rng(0)
    n = group.num_rotations
    X, Y = rng.normal(size=(2, group.order, 50, 9))

    class Stacked:
        def __init__(self):
            self.group, self.kernel_size = group, (3, 3)
            self.patches = torch.from_numpy(X.transpose(0, 2, 1) @ X)
            self.cross = torch.from_numpy(X.transpose(0, 2, 1) @ Y)
            self.responses = torch.from_numpy(Y.transpose(0, 2, 1) @ Y)

    atoms = family(group, 3, Stacked())(torch.float64).flatten(2).numpy()
    solve = scipy.linalg.lstsq if family is LeastSquaresBasis else scipy.linalg.orthogonal_procrustes
    np.testing.assert_allclose(atoms[1].T, solve(X[1], Y[1])[0], rtol=0, atol=1e-12)
    np.testing.assert_array_equal(atoms[0], np.eye(9))
    if n % 4 == 0:
        pixels = torch.eye(9, dtype=torch.float64).reshape(9, 3, 3)
        np.testing.assert_array_equal(atoms[n // 4], turn(pixels, 1).flatten(1).numpy())


def test_least_squares_has_the_smallest_squared_error_and_does_not_keep_norms():
    moments = smooth_moments(Cyclic(8), 3)
    free, orthogonal = LeastSquaresBasis(Cyclic(8), 3, moments), ProcrustesBasis(Cyclic(8), 3, moments)

    def squared(basis):  # of one-pixel filters, without the normalization of the metric
        M = basis(torch.float64)[1].flatten(1).mT
        return float(torch.trace(M.T @ moments.patches[1] @ M - 2 * M.T @ moments.cross[1] + moments.responses[1]))

    assert squared(free) < 0.95 * squared(orthogonal)
    norms = torch.linalg.vector_norm(free(torch.float64)[1].flatten(1), dim=1)
    assert float(norms.min()) < 0.8 < 1.2 < float(norms.max())
    assert float(unitarity_error(orthogonal).max()) < 1e-12


def test_the_group_law_costs_little_and_procrustes_breaks_it():
    moments = smooth_moments(Cyclic(12), 5)
    free, lawful = ProcrustesBasis(Cyclic(12), 5, moments), UnitaryBasis(Cyclic(12), 5, moments)
    assert float(group_law_error(free).max()) > 1e-2
    assert float(group_law_error(lawful).max()) < 1e-12
    rms = [float(basis_equivariance_error(basis, moments).square().mean().sqrt()) for basis in (free, lawful)]
    assert rms[0] <= rms[1] <= 1.05 * rms[0]


@pytest.mark.parametrize("family", [LeastSquaresBasis, ProcrustesBasis])
def test_singular_moments_are_refused(family):
    ramp = torch.linspace(0, 1, 24, dtype=torch.float64).expand(1, 1, 24, 24)
    with pytest.raises(ValueError, match=rf"{family.__name__} expects images that excite every direction.*of rank \d"):
        family(Cyclic(8), 3, Moments(Cyclic(8), 3).update(ramp))


@pytest.mark.parametrize("family", [LeastSquaresBasis, ProcrustesBasis])
def test_missing_or_foreign_moments_are_refused(family):
    with pytest.raises(TypeError, match=f"{family.__name__} expects moments of real images"):
        family(Cyclic(8), 3)
    with pytest.raises(ValueError, match="moments for C8 and kernel size 5, got moments for C8"):
        family(Cyclic(8), 5, Moments(Cyclic(8), 3).update(smooth_images(4)))
