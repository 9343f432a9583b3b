"""What is measured and fitted inside `torch.autocast`, and of 16-bit images, is what it is outside, in float32."""

import pytest
import torch

from orbitconv.bases import SpectralBasis
from orbitconv.groups import Cyclic
from orbitconv.learn import fit_action, measure_moments, measure_pairs, whiten_images
from orbitconv.learn.gradient.losses import equivariance_loss
from orbitconv.learn.gradient.rotators import image_rotator
from orbitconv.metrics import basis_equivariance_error, unitarity_error
from references import smooth_images

C8 = Cyclic(8)


def images():
    return smooth_images(6, 24).float()


def measures():
    """Numbers from every kind of measurement and fit."""
    x = images()
    moments = measure_moments(x, C8, 3, whiten=True)
    basis = SpectralBasis(C8, 3, moments, dimension=6)
    pairs = torch.randn(400, 9, generator=torch.Generator().manual_seed(1))
    return [
        moments.sums, basis(torch.float32), basis_equivariance_error(basis, moments), unitarity_error(basis),
        whiten_images(x), measure_pairs((pairs, pairs.roll(1, 1))).sums, fit_action((pairs, pairs.roll(1, 1))).matrix,
    ]  # fmt: skip


def test_autocast_changes_no_measurement_and_no_fit():
    outside = measures()
    with torch.autocast("cpu", torch.bfloat16):
        inside = measures()
    assert all(torch.equal(a, b) for a, b in zip(inside, outside, strict=True))


def test_autocast_changes_no_loss_of_a_training():
    basis = SpectralBasis(C8, 3, measure_moments(images(), C8, 3), dimension=6)

    def loss():
        return equivariance_loss(basis(torch.float32), images(), C8, 1, 4, image_rotator("cubic"))

    outside = loss()
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(loss(), outside)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_moments_of_16_bit_images_are_those_of_their_values(dtype):
    x = images().to(dtype)
    assert torch.equal(measure_moments(x, C8, 3).sums, measure_moments(x.float(), C8, 3).sums)
