import math

import numpy as np
import pytest
import torch
from scipy import ndimage

from orbitconv.data import ImageSet, rotated, rotated_set


def blobs(n=6, size=15, channels=1):
    """Smooth images that vanish at the border, where conventions for the outside would differ."""
    y, x = np.mgrid[:size, :size] - (size - 1) / 2
    rng = np.random.default_rng(0)
    centres = rng.uniform(-2.5, 2.5, (n, channels, 2, 1, 1))
    values = np.exp(-((y - centres[:, :, 0]) ** 2 + (x - centres[:, :, 1]) ** 2) / 5)
    images = torch.from_numpy((255 * values).round().astype(np.uint8))
    labels = torch.zeros(n, dtype=torch.int64)
    return ImageSet(images=images, labels=labels, classes=("blob",), name="blobs", split="test")


@pytest.mark.parametrize("k", range(4))
def test_quarter_turns_are_exact_and_counter_clockwise(k):
    images = blobs()
    expected = torch.from_numpy(np.rot90(images.floats().numpy(), k, (2, 3)).copy())
    torch.testing.assert_close(rotated(images, degrees=90 * k).images, expected, rtol=0, atol=0)


@pytest.mark.parametrize("degrees", [20.0, -75.0, 200.0])
def test_fixed_angle_matches_the_cubic_spline_of_scipy(degrees):
    images = blobs(channels=2)
    expected = ndimage.rotate(
        images.floats(torch.float64).numpy(), degrees, axes=(3, 2), reshape=False, order=3, mode="constant"
    ).clip(0, 1)
    result = rotated(images, degrees=degrees).images.double()
    torch.testing.assert_close(result, torch.from_numpy(expected), rtol=0, atol=1e-6)


def test_each_image_is_turned_by_its_own_recorded_angle():
    images = blobs()
    result = rotated(images, seed=4)
    for i, angle in enumerate(result.angles.tolist()):
        alone = rotated(images, degrees=math.degrees(angle)).images[i]
        torch.testing.assert_close(result.images[i], alone, rtol=0, atol=1e-5)


def test_angles_come_from_the_seed_alone():
    images = blobs(20)
    first = rotated(images, seed=1)
    torch.rand(5)
    torch.testing.assert_close(rotated(images, seed=1).images, first.images, rtol=0, atol=0)
    assert not torch.equal(rotated(images, seed=2).angles, first.angles)


def test_angles_of_a_seed_are_fixed_across_machines():
    expected = 2 * math.pi * torch.tensor([0.9700530018, 0.7078198645, 0.4593829431])
    torch.testing.assert_close(rotated(blobs(3), seed=0).angles, expected, rtol=0, atol=1e-6)


def test_overshoot_of_the_spline_is_clipped():
    images = torch.zeros(1, 1, 16, 16, dtype=torch.uint8)
    images[:, :, 4:12, 4:12] = 255
    square = ImageSet(images=images, labels=torch.zeros(1).long(), classes=("a",), name="x", split="y")
    turned = rotated(square, degrees=30).images
    assert (float(turned.min()), float(turned.max())) == (0, 1)


@pytest.mark.parametrize("degrees", [math.nan, math.inf])
def test_angle_that_is_no_number_is_refused(degrees):
    with pytest.raises(ValueError, match=r"rotated expects a finite angle in degrees, got"):
        rotated(blobs(), degrees=degrees)


def test_turned_set_holds_the_turned_images_as_bytes():
    images = blobs(channels=2)
    turned = rotated_set(images, seed=3)
    expected = 255 * rotated(images, 3).images
    assert (turned.name, turned.split, turned.classes) == ("rotated-blobs", "test", ("blob",))
    assert (turned.images.float() - expected).abs().max() <= 0.5
