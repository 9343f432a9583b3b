import itertools

import numpy as np
import pytest
import torch

from orbitconv.bases import ExactBasis, LearnedBasis
from orbitconv.groups import Cyclic, Dihedral
from orbitconv.learn import equivariance_loss, image_rotator, orthogonality_loss, reconstruction_loss
from orbitconv.learn.gradient.rotators import rotate_gaussian
from raising import refuses
from references import correlate, smooth_images, transform, unitary

ROTATE = image_rotator("cubic")
PAIRS = [(3, 6), (7, 2)]


def middle(plane):
    top, left = plane.shape[0] // 6, plane.shape[1] // 6
    return plane[top : plane.shape[0] - top, left : plane.shape[1] - left]


def turned(plane, group, g):
    return ROTATE(torch.from_numpy(np.ascontiguousarray(plane))[None], group, g)[0].numpy()


def naive_losses(atoms, images, group, g1, g2, norm):
    """Both losses as the definition reads: one image, one atom, one pixel after the other."""
    delta = int(group.product[g2, group.inverse[g1]])
    source = next(h for h in range(group.order) if group.product[delta, h] == g1)
    atoms = atoms.detach().numpy()
    power = 1 if norm == "l1" else 2
    equivariance, reconstruction = [], []
    for image in images.numpy()[:, 0]:
        target = turned(image, group, g2)
        decoded = np.zeros_like(image)
        for d in range(atoms.shape[1]):
            response = turned(correlate(turned(image, group, g1), atoms[source, d]), group, delta)
            equivariance.append(np.abs(middle(response - correlate(target, atoms[g1, d]))) ** power)
            for row, col in itertools.product(*map(range, response.shape)):
                for a, b in itertools.product(*map(range, atoms.shape[2:])):
                    decoded[row + a, col + b] += response[row, col] * atoms[g1, d, a, b]
        decoded /= min(atoms.shape[1], atoms[0, 0].size)
        reconstruction.append(np.abs(middle(decoded - target)) ** power)
    return np.mean(equivariance), np.mean(reconstruction)


@pytest.mark.parametrize("norm", ["l1", "l2"])
@pytest.mark.parametrize(
    ("group", "kernel_size", "num_atoms", "size"),
    [(Cyclic(8), 3, 4, 12), (Dihedral(4), 2, 5, 9), (Dihedral(5), 3, 9, 8), (Cyclic(6), 4, 2, 7)],
    ids=str,
)
def test_losses_are_what_the_definition_says(group, kernel_size, num_atoms, size, norm):
    atoms = LearnedBasis(group, kernel_size, num_atoms, start="random").double()()
    images = smooth_images(count=2, size=size)
    for g1, g2 in [(0, 1), (3, 1), (group.order - 1, 2)]:
        expected = naive_losses(atoms, images, group, g1, g2, norm)
        got = [loss(atoms, images, group, g1, g2, ROTATE, norm) for loss in (equivariance_loss, reconstruction_loss)]
        np.testing.assert_allclose([float(x.detach()) for x in got], expected, rtol=1e-10)


@pytest.mark.parametrize("rotator", ["gaussian", "bilinear", "cubic", "quintic"])
@pytest.mark.parametrize("group", [Cyclic(4), Dihedral(4), Dihedral(1)], ids=str)
def test_equivariance_and_reconstruction_vanish_for_exact_bases(group, rotator, smooth):
    atoms = ExactBasis(group, 3)(torch.float64)
    for g1, g2 in itertools.product(range(group.order), repeat=2):
        for loss in (equivariance_loss, reconstruction_loss):
            assert loss(atoms, smooth[:3], group, g1, g2, image_rotator(rotator), "l1") < 1e-14


def test_wrong_product_table_would_be_seen(smooth):
    # With delta = g1^-1 g2 in place of g2 g1^-1 a dihedral group would not come out at zero.
    group, atoms = Dihedral(4), ExactBasis(Dihedral(4), 3)(torch.float64)
    swapped = atoms[torch.from_numpy(group.inverse.copy())]
    assert equivariance_loss(swapped, smooth[:3], group, 1, 2, ROTATE) > 0.1


def test_reconstruction_vanishes_for_any_complete_unitary_basis_where_nothing_is_interpolated(smooth):
    atoms = unitary(Cyclic(8), 3)(torch.float64)
    for g1, g2 in itertools.product([0, 2, 4, 6], repeat=2):
        assert reconstruction_loss(atoms, smooth[:3], Cyclic(8), g1, g2, ROTATE) < 1e-12


def test_reconstruction_sees_shrunken_and_dependent_atoms(smooth):
    atoms = unitary(Cyclic(8), 3)(torch.float64)
    mean = atoms.mean(1, keepdim=True).expand_as(atoms)
    for worse in (0.9 * atoms, mean):
        assert reconstruction_loss(worse, smooth[:3], Cyclic(8), 0, 2, ROTATE) > 0.01


def test_orthogonality_by_hand():
    atoms = torch.zeros(2, 2, 2, 2, dtype=torch.float64)
    atoms[0, 0, 0, 0], atoms[0, 1, 0, 1] = 1, 1  # orthonormal
    atoms[1, 0, 0, 0], atoms[1, 1, 0, 0] = 2, 1  # Gram matrix [[4, 2], [2, 1]]
    assert orthogonality_loss(atoms, "l1") == 2 * (3 + 2 + 2 + 0) / 8
    assert orthogonality_loss(atoms, "l2") == 2 * (9 + 4 + 4 + 0) / 8


@pytest.mark.parametrize("norm", ["l1", "l2"])
def test_gradient_is_that_of_finite_differences(norm, smooth):
    atoms = torch.randn(8, 2, 2, 2, dtype=torch.float64, requires_grad=True)  # no absolute value at its kink
    images = smooth[:1, :, :8, :8].contiguous()
    for g1, g2 in PAIRS:

        def total(a, g1=g1, g2=g2):
            pair = [f(a, images, Cyclic(8), g1, g2, ROTATE, norm) for f in (equivariance_loss, reconstruction_loss)]
            return sum(pair) + orthogonality_loss(a, norm)

        assert torch.autograd.gradcheck(total, atoms, atol=1e-5)


@pytest.mark.parametrize(("group", "g"), [(Cyclic(8), 1), (Cyclic(5), 3), (Dihedral(8), 11)], ids=str)
@pytest.mark.parametrize("sigma", [0.3, 0.5])
def test_gaussian_rotator_is_the_weighted_mean_of_nine_pixels(group, g, sigma):
    image = smooth_images(count=1, size=9)[0, 0]
    got = rotate_gaussian(image, group, g, sigma)
    inverse, centre = group.matrix(g).T, 4.0
    for row, col in itertools.product(range(2, 7), repeat=2):
        y, x = inverse @ np.array([row - centre, col - centre]) + centre
        total = weights = 0.0
        for a, b in itertools.product(range(9), repeat=2):
            if abs(a - np.floor(y + 0.5 + 1e-9)) <= 1 and abs(b - np.floor(x + 0.5 + 1e-9)) <= 1:
                weight = np.exp(-((a - y) ** 2 + (b - x) ** 2) / (2 * sigma**2))
                total, weights = total + weight * float(image[a, b]), weights + weight
        assert float(got[row, col]) == pytest.approx(total / weights, abs=1e-12)


@pytest.mark.parametrize(("name", "order"), [("bilinear", 1), ("cubic", 3), ("quintic", 5)])
def test_spline_rotators_are_scipy_inside_the_disc(name, order):
    image, group = smooth_images(count=1, size=24)[0, 0], Cyclic(8)
    got, expected = image_rotator(name)(image, group, 1).numpy(), transform(image.numpy(), group, 1, order=order)
    np.testing.assert_allclose(got[8:-8, 8:-8], expected[8:-8, 8:-8], atol=5e-3 if order > 1 else 1e-12)


def test_gaussian_rotator_keeps_constants_and_moves_quarters_exactly(smooth):
    rotate = image_rotator("gaussian", 0.5)
    constant = torch.full((1, 7, 9), 3.0, dtype=torch.float64)
    torch.testing.assert_close(rotate(constant, Cyclic(8), 3), constant, rtol=0, atol=1e-14)
    assert torch.equal(rotate(smooth, Cyclic(8), 2), torch.rot90(smooth, 1, (-2, -1)))


# torch compiles its forward-mode formulas by TorchScript on first use.
@pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated")
@pytest.mark.parametrize("name", ["gaussian", "cubic"])
def test_rotators_have_derivatives_of_both_modes_and_of_second_order(name):
    rotate = image_rotator(name)
    x = torch.randn(2, 5, 5, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: rotate(x, Cyclic(8), 1), x, check_forward_ad=True)
    assert torch.autograd.gradgradcheck(lambda x: rotate(x, Cyclic(8), 1).square(), x)


def test_refuses_what_makes_no_sense(smooth):
    atoms = ExactBasis(Cyclic(4), 3)(torch.float64)
    refuses(ValueError, "C4 has the elements 0 to 3, got 4", equivariance_loss, atoms, smooth, Cyclic(4), 4, 0, ROTATE)
    with pytest.raises(ValueError, match="at least 3 pixels a side"):
        equivariance_loss(atoms, smooth[..., :2, :2], Cyclic(4), 0, 1, ROTATE)
    refuses(ValueError, "norm 'l1' or 'l2', got 'l3'", equivariance_loss, atoms, smooth, Cyclic(4), 0, 1, ROTATE, "l3")
    refuses(ValueError, "one of gaussian, bilinear, cubic, quintic, got 'nearest'", image_rotator, "nearest")
    refuses(ValueError, "sigma > 0", image_rotator, "gaussian", 0.0)
