import itertools
import math

import numpy as np
import pytest
import torch

from orbitconv.bases import BilinearBasis, GaussianBasis, InterpolatedBasis, NearestBasis
from orbitconv.groups import Cyclic, Dihedral
from orbitconv.metrics import basis_equivariance_error
from references import smooth_moments, transform, unitary

GROUPS = [Cyclic(5), Cyclic(7), Dihedral(5)]  # no sampling point of theirs lies half-way between two pixels


def one_pixel_filters(kernel_size, window):
    margins = [(outer - inner) // 2 for outer, inner in zip(window, kernel_size, strict=True)]
    for row, col in itertools.product(*map(range, kernel_size)):
        pixel = np.zeros(window)
        pixel[row + margins[0], col + margins[1]] = 1
        yield pixel


def scipy_atoms(basis, kernel_size, order, mode):
    pixels = list(one_pixel_filters(kernel_size, basis.kernel_size))
    elements = range(basis.group.order)
    return [[transform(pixel, basis.group, g, order=order, mode=mode) for pixel in pixels] for g in elements]


@pytest.mark.parametrize("border", ["constant", "grid-constant"])
@pytest.mark.parametrize(
    ("group", "kernel_size"),
    [(Cyclic(8), (3, 3)), (Cyclic(8), (5, 5)), (Dihedral(8), (5, 5))]
    + [(group, size) for group in GROUPS for size in [(2, 2), (3, 3), (4, 4), (3, 5)]],
    ids=str,
)
def test_nearest_is_scipy_order_0(group, kernel_size, border):
    basis = NearestBasis(group, kernel_size, border=border)
    np.testing.assert_array_equal(basis(torch.float64), scipy_atoms(basis, kernel_size, 0, border))


@pytest.mark.parametrize("border", ["constant", "grid-constant"])
@pytest.mark.parametrize("kernel_size", [(2, 2), (3, 3), (4, 4), (5, 5), (3, 5), (5, 3), (1, 3)])
@pytest.mark.parametrize("group", [*GROUPS, Cyclic(8), Cyclic(6), Cyclic(12), Dihedral(8)], ids=str)
def test_bilinear_is_scipy_order_1(group, kernel_size, border):
    basis = BilinearBasis(group, kernel_size, border=border)
    expected = scipy_atoms(basis, kernel_size, 1, border)
    np.testing.assert_allclose(basis(torch.float64), expected, rtol=0, atol=1e-14)


@pytest.mark.parametrize("sigma", [0.3, 0.5, 2.0])
@pytest.mark.parametrize("kernel_size", [(2, 2), (3, 3), (3, 5)])
@pytest.mark.parametrize("group", [Cyclic(8), Dihedral(3)], ids=str)
def test_gaussian_is_the_normalized_mean_over_pixels(group, kernel_size, sigma):
    basis = GaussianBasis(group, kernel_size, sigma)
    height, width = basis.kernel_size
    pixels = list(one_pixel_filters(kernel_size, basis.kernel_size))
    expected = np.zeros((group.order, len(pixels), height, width))
    for g, row, col in itertools.product(range(group.order), range(height), range(width)):
        x, y = col - (width - 1) / 2, (height - 1) / 2 - row
        angle = -2 * math.pi * (g % group.num_rotations) / group.num_rotations  # where this point came from
        x, y = x * math.cos(angle) - y * math.sin(angle), x * math.sin(angle) + y * math.cos(angle)
        x = -x if group.mirrors[g] else x
        weights = np.zeros((height, width))
        for a, b in itertools.product(range(height), range(width)):
            square = (b - (width - 1) / 2 - x) ** 2 + ((height - 1) / 2 - a - y) ** 2
            weights[a, b] = math.exp(-square / (2 * sigma**2))
        for d, pixel in enumerate(pixels):
            expected[g, d, row, col] = (weights * pixel).sum() / weights.sum()
    np.testing.assert_allclose(basis(torch.float64), expected, rtol=0, atol=1e-13)


@pytest.mark.parametrize("family", [NearestBasis, BilinearBasis, GaussianBasis])
def test_interpolation_errs_more_than_the_learned_basis_at_45_degrees(family):
    moments = smooth_moments(Cyclic(8), 3, seed=1)  # other images than the basis was fitted on
    interpolated = basis_equivariance_error(family(Cyclic(8), 3), moments)
    learned = basis_equivariance_error(unitary(Cyclic(8), 3, 40), moments)
    assert interpolated[1] > 1.3 * learned[1]
    assert learned[1] > 0.01


@pytest.mark.parametrize("family", [NearestBasis, BilinearBasis])
def test_refuses_unknown_borders(family):
    with pytest.raises(ValueError, match=rf"{family.__name__} expects border 'constant' or 'grid-constant', got 'wra"):
        family(Cyclic(8), 3, border="wrap")


@pytest.mark.parametrize("sigma", [0.0, -1.0, math.nan])
def test_refuses_sigma_that_is_not_positive(sigma):
    with pytest.raises(ValueError, match="GaussianBasis expects sigma > 0 pixels"):
        GaussianBasis(Cyclic(8), 3, sigma)


def test_own_interpolation_weights_can_be_given():
    def everywhere(rows, cols):
        return np.full_like(rows, 1 / rows.shape[1])

    basis = InterpolatedBasis(Cyclic(8), 3, everywhere, "grid-constant")
    torch.testing.assert_close(basis(torch.float64)[1], torch.full((9, 3, 3), 1 / 9, dtype=torch.float64))
