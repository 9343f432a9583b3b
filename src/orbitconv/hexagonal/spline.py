"""Cubic splines on the hexagonal lattice, as symmetric as it is.

Two of the three directions of the lattice make a grid of rhombs, on which a product of two B-splines interpolates.
The mean over the three pairs of directions interpolates too, and turns and mirrors of the lattice leave it alone.
"""

from functools import lru_cache

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from orbitconv._support.precision import at_least_float32, no_autocast
from orbitconv.groups import Cyclic
from orbitconv.groups.resampling import weighted_sums
from orbitconv.groups.spline import sample_spline, spline_coefficients
from orbitconv.hexagonal.grid import AXES, grid_mask, radius_of
from orbitconv.hexagonal.moves import axial_matrix, hexagonal_permutation

_MARGIN = 4
"""Rings of points that are added around a hexagon, so that its border does not ring."""


class HexagonalSpline:
    """The spline through every point of axial arrays on a hexagon; beyond, its outermost points are repeated."""

    def __init__(self, planes: Float[Tensor, "b i j"]) -> None:
        self.radius = radius_of("HexagonalSpline", planes)
        side, self.dtype = planes.shape[-1], planes.dtype
        with no_autocast():
            planes = planes.to(at_least_float32(planes.dtype))
            self.coefficients = [
                spline_coefficients(extended(planes.flatten(-2)[:, _index(steps, side)], self.radius, _MARGIN), 3)
                for steps in range(3)
            ]

    def at(self, points: Float[Tensor, "2 t"]) -> Float[Tensor, "b t"]:
        """Values between the points of the lattice."""
        axial = np.linalg.inv(AXES)
        centre = self.radius + _MARGIN
        total = torch.zeros((), dtype=self.coefficients[0].dtype, device=self.coefficients[0].device)
        for steps, coefficients in enumerate(self.coefficients):
            turn = torch.from_numpy(axial_matrix(Cyclic(6), steps) @ axial)
            rows, cols = (turn @ points.double().cpu()).to(coefficients)
            total = total + sample_spline(coefficients[:, None], rows[None] + centre, cols[None] + centre, 3)[:, 0]
        return (total / 3).to(self.dtype)


def _index(steps: int, side: int) -> Int[Tensor, " p"]:
    return torch.from_numpy(hexagonal_permutation(Cyclic(6), steps, side).copy())


def extended(flat: Float[Tensor, "b p"], radius: int, margin: int) -> Float[Tensor, "b i j"]:
    """A larger array, filled everywhere: outside the hexagon with its nearest points."""
    index, weight = (torch.from_numpy(table.copy()).to(flat.device) for table in _nearest(radius, margin))
    side = 2 * (radius + margin) + 1
    return weighted_sums(flat.T, index, weight.to(flat.dtype)).T.reshape(-1, side, side)


@lru_cache(maxsize=16)
def _nearest(radius: int, margin: int) -> tuple[Int[np.ndarray, "t k"], Float[np.ndarray, "t k"]]:
    """For each point of a larger array its nearest points in the hexagon and their weights, equal where they tie."""
    side, outer = 2 * radius + 1, 2 * (radius + margin) + 1
    inside = np.flatnonzero(grid_mask(side, "hexagon").numpy())
    within = np.stack(np.divmod(inside, side)) - radius
    index, weight = np.zeros((outer * outer, 3), dtype=int), np.zeros((outer * outer, 3))
    for row in range(outer):
        i = within[0] - (row - radius - margin)
        j = within[1] - (np.arange(outer)[:, None] - radius - margin)
        distance = i * i + i * j + j * j
        for column, near in enumerate(distance == distance.min(1, keepdims=True)):
            found = inside[near]
            index[row * outer + column, : len(found)] = found
            weight[row * outer + column, : len(found)] = 1 / len(found)
    return index, weight
