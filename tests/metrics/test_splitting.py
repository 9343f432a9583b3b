"""Objects of a mask, against discs whose places are known and scikit-image."""

import numpy as np
import pytest

from orbitconv.metrics.splitting import objects_of

measure = pytest.importorskip("skimage.measure")


def discs(places, radius=6, size=(40, 60)):
    """The union of discs, and the number of the nearest middle for each pixel."""
    y, x = np.mgrid[: size[0], : size[1]]
    distance = np.stack([np.hypot(y - row, x - col) for row, col in places])
    return (distance <= radius).any(0).astype(np.uint8), distance.argmin(0)


def test_parts_that_touch_at_a_corner_are_one_object():
    mask = np.array([[1, 0, 0, 0], [0, 2, 0, 1], [0, 0, 0, 1]])
    assert objects_of(mask).tolist() == [[1, 0, 0, 0], [0, 1, 0, 2], [0, 0, 0, 2]]


def test_components_are_those_of_scikit_image():
    mask = np.random.default_rng(0).random((50, 61)) < 0.35
    found, expected = objects_of(mask), measure.label(mask, connectivity=2)
    pairs = {(a, b) for a, b in zip(found.ravel().tolist(), expected.ravel().tolist(), strict=True)}
    assert len(pairs) == found.max() + 1 == expected.max() + 1


@pytest.mark.parametrize("places", [[(20, 15), (20, 26)], [(12, 15), (20, 24), (12, 33)], [(0, 3), (0, 14)]])
def test_a_watershed_parts_discs_that_touch(places):
    mask, nearest = discs(places)
    assert objects_of(mask).max() == 1
    found = objects_of(mask, "watershed")
    assert found.max() == len(places)
    inside = mask > 0
    assert (found[inside] > 0).all()
    assert not found[~inside].any()
    same = sum((nearest[inside] == nearest[row, col])[found[inside] == found[row, col]].sum() for row, col in places)
    assert same / inside.sum() > 0.97


def test_a_disc_alone_stays_one_object_and_other_ways_are_refused():
    mask, _ = discs([(20, 30)])
    assert (objects_of(mask, "watershed") == mask).all()
    with pytest.raises(ValueError, match="'components' or 'watershed', got 'lines'"):
        objects_of(mask, "lines")
