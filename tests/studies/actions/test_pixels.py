"""Orders of pixels, shifts and cut-outs."""

import numpy as np
import pytest
import scipy.ndimage
import torch

from studies.actions.pixels import pick, shift


@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize(("fill", "mode"), [("cyclic", "grid-wrap"), ("zero", "constant")])
def test_shifts_are_those_of_scipy(axis, fill, mode):
    images = torch.rand(3, 2, 5, 6, dtype=torch.float64)
    before = images.clone()
    steps = [0, 0, axis == 0, axis == 1]
    expected = scipy.ndimage.shift(images.numpy(), steps, order=0, mode=mode)
    np.testing.assert_array_equal(shift(images, axis, fill), expected)
    assert torch.equal(images, before)


def test_each_image_gives_its_own_rows_and_columns():
    images = torch.rand(4, 2, 5, 6)
    rows, cols = torch.randint(5, (4, 3)), torch.randint(6, (4, 2))
    for image, r, c, found in zip(images, rows, cols, pick(images, rows, cols), strict=True):
        assert torch.equal(found, image[:, r][:, :, c])
