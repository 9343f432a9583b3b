"""Points of the hexagonal lattice, their moves, and grids on their sublattices."""

import math

import numpy as np
import pytest
import torch

from orbitconv import Cyclic, Dihedral
from orbitconv.hexagonal import HexagonalGrid, HexagonalImage, exact_hexagonal_elements, hexagonal_permutation
from orbitconv.hexagonal import turn_hexagonal as turn


@pytest.mark.parametrize("radius", [1, 2, 3, 7])
def test_a_hexagon_has_centred_hexagonal_many_points_and_every_neighbour_one_spacing_away(radius):
    grid = HexagonalGrid(radius, spacing=1.5)
    assert grid.mask.sum() == 3 * radius * (radius + 1) + 1
    points = grid.positions[:, grid.mask]
    distances = np.hypot(*(points - grid.positions[:, radius, radius][:, None]))
    assert (np.abs(distances - 1.5) < 1e-12).sum() == 6
    assert distances.max() == pytest.approx(1.5 * radius)


def test_a_disc_holds_the_points_within_the_inner_circle_of_the_hexagon():
    grid = HexagonalGrid(6, "disc")
    inside = np.hypot(*grid.positions) <= 6 * math.sqrt(3) / 2 + 1e-9
    np.testing.assert_array_equal(grid.mask, inside)


@pytest.mark.parametrize("g", range(12))
def test_a_move_takes_every_value_to_the_turned_position(g):
    grid, group = HexagonalGrid(4), Dihedral(6)
    values = np.random.default_rng(0).normal(size=grid.side**2)
    moved = values[hexagonal_permutation(group, g, grid.side)].reshape(grid.mask.shape)
    points, values = grid.positions[:, grid.mask], values.reshape(grid.mask.shape)[grid.mask]
    turned = group.matrix(g) @ points
    for target, value in zip(points.T, moved[grid.mask], strict=True):
        (source,) = np.flatnonzero(np.hypot(*(turned - target[:, None])) < 1e-9)
        assert value == values[source]


@pytest.mark.parametrize(("group", "expected"), [
    (Cyclic(6), range(6)), (Dihedral(3), range(6)), (Cyclic(12), range(0, 12, 2)), (Cyclic(4), (0, 2)),
    (Dihedral(4), (0, 2, 4, 6)), (Cyclic(5), (0,)),
])  # fmt: skip
def test_exact_elements_are_multiples_of_60_degrees_mirrored_or_not(group, expected):
    assert exact_hexagonal_elements(group) == tuple(expected)


def test_a_half_turn_is_a_half_turn_of_the_array():
    x = torch.randn(2, 9, 9, generator=torch.manual_seed(0), dtype=torch.float64)
    torch.testing.assert_close(turn(x, 3), torch.rot90(x, 2, (-2, -1)) * torch.from_numpy(HexagonalGrid(4).mask))


@pytest.mark.parametrize("shape", ["hexagon", "disc"])
@pytest.mark.parametrize("sublattice", [3, 4])
@pytest.mark.parametrize("radius", [3, 6, 9])
def test_a_sublattice_has_its_points_on_those_of_the_grid(shape, sublattice, radius):
    grid = HexagonalGrid(radius, shape, spacing=1.3)
    coarse = grid.take(sublattice)
    points = grid.positions[:, grid.mask].T
    kept = coarse.positions[:, coarse.mask].T
    assert np.hypot(*(points[:, None] - kept).transpose(2, 0, 1)).min(0).max() < 1e-9


def test_two_steps_of_one_point_in_three_have_the_axes_of_the_plane_again():
    once = HexagonalGrid(9).take(3)
    assert once.turned
    assert not once.take(3).turned
    np.testing.assert_allclose(np.hypot(*once.positions[:, once.radius, once.radius + 1]), math.sqrt(3))


def test_offset_rows_stand_below_each_other_and_go_back():
    grid = HexagonalGrid(5)
    x = torch.randn(2, grid.side, grid.side, generator=torch.manual_seed(0)) * torch.from_numpy(grid.mask)
    offset = grid.to_offset(x)
    torch.testing.assert_close(grid.from_offset(offset), x, rtol=0, atol=0)
    columns = grid.to_offset(torch.from_numpy(grid.positions[1]))
    where = grid.to_offset(torch.ones(grid.side, grid.side)).bool().numpy()
    rows, cols = np.nonzero(where)
    assert where.sum() == grid.mask.sum()
    np.testing.assert_allclose(columns.numpy()[where], cols - 5 + 0.5 * ((rows - 5) % 2), atol=1e-12)


@pytest.mark.parametrize(("call", "words"), [
    (lambda: HexagonalGrid(0), "radius >= 1"),
    (lambda: HexagonalGrid(3, "square"), "'hexagon' or 'disc'"),
    (lambda: HexagonalGrid(3, spacing=0.0), "spacing > 0"),
    (lambda: HexagonalGrid(3).take(2), "sublattice 3"),
    (lambda: HexagonalGrid(1).take(4), "no ring of points"),
    (lambda: turn(torch.zeros(1, 1, 8, 8), 1), "central element"),
    (lambda: turn(torch.zeros(1, 1, 7, 9), 1), "7x9"),
    (lambda: hexagonal_permutation(Cyclic(8), 1, 5), "45 degrees"),
    (lambda: hexagonal_permutation(Cyclic(6), 1, 4), "no central point"),
    (lambda: HexagonalImage(torch.zeros(1, 1, 5, 5), HexagonalGrid(3)), "7x7"),
    (lambda: HexagonalImage(torch.zeros(5, 5), HexagonalGrid(2)), "side, side"),
])  # fmt: skip
def test_what_is_no_grid_is_refused(call, words):
    with pytest.raises(ValueError, match=words):
        call()


def test_what_lies_outside_the_points_in_use_does_not_count():
    grid = HexagonalGrid(2)
    values = torch.ones(1, 1, 5, 5).masked_fill(~torch.from_numpy(grid.mask), torch.nan)
    assert float(HexagonalImage(values, grid).planes().sum()) == 19
