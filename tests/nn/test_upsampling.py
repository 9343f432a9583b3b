import numpy as np
import pytest
import scipy.ndimage
import torch

from orbitconv.nn import upsample_to
from references import turn

SIZES = [(8, 8), (9, 9), (7, 10), (4, 3), (1, 5), (2, 1)]


def halves(size):
    return tuple((side + 1) // 2 for side in size)


@pytest.mark.parametrize("size", SIZES)
def test_linear_interpolation_at_the_places_of_the_pixels(size):
    x = torch.randn(2, 3, *halves(size), dtype=torch.float64)
    # Pooled pixel j lies at 2j in an odd side, at 2j + 1/2 in an even one.
    places = [(np.arange(side) - (0 if side % 2 else 0.5)) / 2 for side in size]
    grid = np.meshgrid(*places, indexing="ij")
    expected = [scipy.ndimage.map_coordinates(plane, grid, order=1, mode="nearest") for plane in x.flatten(0, 1)]
    found = upsample_to(x, size).flatten(0, 1)
    np.testing.assert_allclose(found, np.stack(expected), rtol=0, atol=1e-14)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("quarters", range(4))
@pytest.mark.parametrize("mirror", [False, True])
def test_exact_under_turns_and_mirrors_at_every_size(size, quarters, mirror):
    x = torch.randn(2, 2, 3, *halves(size), dtype=torch.float64)
    turned_size = size if quarters % 2 == 0 else size[::-1]
    found = upsample_to(turn(x, quarters, mirror=mirror), turned_size)
    torch.testing.assert_close(found, turn(upsample_to(x, size), quarters, mirror=mirror), rtol=0, atol=1e-14)


def test_sizes_that_are_not_twice_as_large_are_refused():
    with pytest.raises(
        ValueError, match=r"upsample_to expects planes of 4x5 pixels to make 8x9 of, got input of shape"
    ):
        upsample_to(torch.zeros(1, 1, 4, 4), (8, 9))
