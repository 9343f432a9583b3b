"""Images to the hexagonal lattice and back, and turns by any angle, against SciPy and against formulas."""

import math

import numpy as np
import pytest
import scipy.fft
import scipy.ndimage
import torch

from orbitconv import Cyclic, Dihedral
from orbitconv.hexagonal import (
    HexagonalGrid,
    HexagonalImage,
    act_hexagonal,
    rotate_hexagonal,
    to_hexagonal,
    to_square,
    turn_hexagonal,
)


def smooth(rows, cols):
    return np.cos(0.7 * rows + 0.3 * cols) + np.sin(0.2 * rows - 0.6 * cols)


def pixels(side):
    return np.indices((side, side)) - (side - 1) / 2


def test_resampling_is_a_low_pass_and_the_cubic_spline_of_scipy():
    image = np.random.default_rng(0).normal(size=(20, 20))
    limit = min(math.pi, 2 * math.pi / math.sqrt(3) / 1.3)
    share = math.pi / 20 * np.hypot(*np.indices((20, 20))) / limit
    gain = (1 + np.cos(math.pi * np.clip((share - 0.8) / 0.2, 0, 1))) / 2
    passed = scipy.fft.idctn(scipy.fft.dctn(image) * gain)  # the cosine transform mirrors at the borders
    found = to_hexagonal(torch.from_numpy(image)[None, None], radius=6, spacing=1.3)
    at = found.grid.positions[:, found.grid.mask] + 9.5
    expected = scipy.ndimage.map_coordinates(passed, at, order=3, mode="constant", prefilter=True)
    inside = ((at >= 1) & (at <= 18)).all(0)
    np.testing.assert_allclose(found.values[0, 0].numpy()[found.grid.mask][inside], expected[inside], atol=2e-3)
    mirrored = scipy.ndimage.map_coordinates(passed, at, order=3, mode="mirror")
    np.testing.assert_allclose(found.values[0, 0].numpy()[found.grid.mask][inside], mirrored[inside], atol=1e-12)


def test_a_smooth_image_comes_back():
    image = torch.from_numpy(smooth(*pixels(32)))[None, None]
    back = to_square(to_hexagonal(image), 32, 32)
    inner = np.hypot(*pixels(32)) < 11
    assert np.abs((back - image)[0, 0].numpy())[inner].max() < 0.02 * float(image.abs().max())


def test_a_checkerboard_which_one_lattice_cannot_hold_is_removed():
    rows, cols = np.indices((24, 24))
    found = to_hexagonal(torch.from_numpy((-1.0) ** (rows + cols))[None, None], radius=8)
    inner = np.hypot(*found.grid.positions) < 6  # its mirror image at the border is no checkerboard
    assert np.abs(found.values[0, 0].numpy()[inner]).max() < 0.02


@pytest.mark.parametrize("degrees", [15, 30, 45, 90])
def test_any_turn_is_that_of_the_function(degrees):
    grid = HexagonalGrid(14)
    rows, cols = grid.positions
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    planes = torch.from_numpy(smooth(rows, cols))[None]
    turned = rotate_hexagonal(planes, math.radians(degrees), shape="disc")[0].numpy()
    expected = smooth(cos * rows + sin * cols, cos * cols - sin * rows)
    inner = np.hypot(rows, cols) < 9
    assert np.abs(turned - expected)[inner].max() < 3e-3 * np.abs(expected).max()


@pytest.mark.parametrize("mirror", [False, True])
def test_a_turn_by_spline_agrees_with_the_exact_one_and_commutes_with_it(mirror):
    planes = torch.randn(2, 11, 11, generator=torch.manual_seed(0), dtype=torch.float64)
    planes = turn_hexagonal(planes, 0)
    torch.testing.assert_close(rotate_hexagonal(planes, math.pi / 3), turn_hexagonal(planes, 1), rtol=0, atol=1e-12)
    one = turn_hexagonal(rotate_hexagonal(planes, math.pi / 6), 2, mirror=mirror)
    other = rotate_hexagonal(turn_hexagonal(planes, 2, mirror=mirror), math.pi / 6 * (-1 if mirror else 1))
    torch.testing.assert_close(one, other, rtol=0, atol=1e-12)


def test_a_turned_picture_is_the_turned_lattice_image():
    image = torch.randn(1, 1, 33, 33, generator=torch.manual_seed(0), dtype=torch.float64)
    kernel = torch.ones(1, 1, 5, 5, dtype=torch.float64) / 25
    image = torch.nn.functional.conv2d(torch.nn.functional.conv2d(image, kernel, padding=2), kernel, padding=2)
    hexagonal = to_hexagonal(image)
    half = to_hexagonal(torch.rot90(image, 2, (-2, -1)))
    torch.testing.assert_close(half.values, turn_hexagonal(hexagonal.values, 3), rtol=0, atol=1e-12)
    mirrored = to_hexagonal(image.flip(-1))
    torch.testing.assert_close(mirrored.values, turn_hexagonal(hexagonal.values, 0, mirror=True), rtol=0, atol=1e-12)
    quarter = to_hexagonal(torch.rot90(image, 1, (-2, -1)), shape="disc").values
    off = quarter - rotate_hexagonal(hexagonal.values, math.pi / 2, shape="disc")
    inner = torch.from_numpy(np.hypot(*hexagonal.grid.positions) < 12)
    assert float(off.abs()[..., inner].max()) < 0.01 * float(quarter.abs().max())


def test_features_turn_with_their_group_axis():
    group = Dihedral(12)
    features = torch.randn(2, 3, 24, 9, 9, generator=torch.manual_seed(0), dtype=torch.float64)
    twice = act_hexagonal(act_hexagonal(features, group, 2, features=True), group, 14, features=True)
    both = act_hexagonal(features, group, int(group.product[14, 2]), features=True)
    torch.testing.assert_close(twice, both, rtol=0, atol=0)


@pytest.mark.parametrize(("call", "error", "words"), [
    (lambda: to_hexagonal(torch.zeros(1, 1, 8, 8, dtype=torch.uint8)), TypeError, "uint8"),
    (lambda: to_hexagonal(torch.zeros(8, 8)), ValueError, "height, width"),
    (lambda: to_hexagonal(HexagonalImage(torch.zeros(1, 1, 5, 5), HexagonalGrid(2))), TypeError, "square images"),
    (lambda: to_hexagonal(torch.zeros(1, 1, 8, 8), HexagonalGrid(2), radius=3), TypeError, "got both"),
    (lambda: to_hexagonal(torch.zeros(1, 1, 8, 8), radius=0), ValueError, "radius >= 1"),
    (lambda: to_square(torch.zeros(1, 1, 5, 5), 8, 8), TypeError, "HexagonalImage"),
    (lambda: rotate_hexagonal(torch.zeros(1, 5, 5), math.nan), ValueError, "finite angle"),
    (lambda: rotate_hexagonal(torch.zeros(1, 5, 5, dtype=torch.int64), 1.0), TypeError, "int64"),
    (lambda: act_hexagonal(torch.zeros(1, 1, 4, 5, 5), Cyclic(6), 1, features=True), ValueError, "group axis"),
])  # fmt: skip
def test_what_cannot_be_resampled_is_refused(call, error, words):
    with pytest.raises(error, match=words):
        call()
