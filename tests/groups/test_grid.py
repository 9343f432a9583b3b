import numpy as np
import pytest

from orbitconv.groups import Cyclic, Dihedral, exact_elements, grid_permutation, is_exact
from raising import refuses

SQUARE = [(1, 1), (2, 2), (3, 3), (4, 4), (5, 5)]
RECTANGLES = [(1, 4), (3, 5), (4, 3), (2, 6)]


@pytest.mark.parametrize("size", SQUARE)
@pytest.mark.parametrize("g", range(8))
def test_dihedral_permutation_is_mirror_then_quarter_turns(size, g):
    image = np.random.default_rng(0).normal(size=size)
    expected = np.rot90(image[:, ::-1] if g >= 4 else image, g % 4)
    moved = image.ravel()[grid_permutation(Dihedral(4), g, *size)].reshape(size)
    np.testing.assert_array_equal(moved, expected)


@pytest.mark.parametrize("size", RECTANGLES)
@pytest.mark.parametrize("g", range(4))
def test_half_turns_and_mirrors_fit_rectangles(size, g):
    image = np.random.default_rng(0).normal(size=size)
    expected = np.rot90(image[:, ::-1] if g >= 2 else image, 2 * (g % 2))
    moved = image.ravel()[grid_permutation(Dihedral(2), g, *size)].reshape(size)
    np.testing.assert_array_equal(moved, expected)


@pytest.mark.parametrize("size", SQUARE)
@pytest.mark.parametrize("n", [4, 8, 12])
def test_quarter_turns_of_finer_groups_are_the_same(size, n):
    for quarter in range(4):
        np.testing.assert_array_equal(
            grid_permutation(Cyclic(n), quarter * n // 4, *size), grid_permutation(Cyclic(4), quarter, *size)
        )


@pytest.mark.parametrize("group", [Cyclic(n) for n in range(1, 13)] + [Dihedral(n) for n in range(1, 9)], ids=str)
@pytest.mark.parametrize("size", [(4, 4), (5, 5), (3, 5), (2, 3)])
def test_exact_elements_are_those_that_move_every_pixel_onto_a_pixel(group, size):
    centre = (np.array(size) - 1) / 2
    pixels = np.indices(size).reshape(2, -1).T - centre
    expected = []
    for g in range(group.order):
        landed = pixels @ group.matrix(g).T + centre
        on_grid = np.abs(landed - np.rint(landed)).max() < 1e-9
        inside = (np.rint(landed) >= 0).all() and (np.rint(landed) < size).all()
        if on_grid and inside:
            expected.append(g)
    assert exact_elements(group, *size) == tuple(expected)


@pytest.mark.parametrize("size", [(4, 4), (5, 5), (3, 5)])
def test_exact_elements_form_a_subgroup(size):
    group = Dihedral(8)
    exact = exact_elements(group, *size)
    assert {int(group.product[g, h]) for g in exact for h in exact} == set(exact)


def test_refuses_what_is_not_exact():
    assert not is_exact(Cyclic(8), 1, 5, 5)
    refuses(ValueError, "45 degrees does not map a 5x5 grid to itself", grid_permutation, Cyclic(8), 1, 5, 5)
    refuses(ValueError, "90 degrees does not map a 3x5 grid to itself", grid_permutation, Cyclic(4), 1, 3, 5)
