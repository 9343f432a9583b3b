"""Orders of pixels, shifts and cut-outs."""

import numpy as np
import pytest
import scipy.ndimage
import torch

from orbitconv._support.devices import find_device
from studies.actions.pixels import pick, pixel_order, shift


def test_pixel_order_is_one_permutation_for_a_seed():
    assert torch.equal(pixel_order(9, None), torch.arange(9))
    assert torch.equal(pixel_order(50, 3), pixel_order(50, 3))
    assert sorted(pixel_order(50, 3).tolist()) == list(range(50))
    assert not torch.equal(pixel_order(50, 3), pixel_order(50, 4))


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


def test_a_device_that_is_not_there_is_refused(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert find_device("x", "auto") == find_device("x", "cpu") == torch.device("cpu")
    with pytest.raises(ValueError, match="x expects a GPU"):
        find_device("x", "cuda")
    with pytest.raises(ValueError, match="auto, cpu or cuda"):
        find_device("x", "mps")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert [find_device("x", word).type for word in ("auto", "cuda", "cpu")] == ["cuda", "cuda", "cpu"]
