"""Points of the hexagonal lattice, in axial coordinates.

The point (i, j) lies i rows below the centre and j + i / 2 columns right of it; rows are sqrt(3) / 2 apart. An array of
odd side holds the points with |i|, |j| <= radius, so that a translation of the lattice is a translation of the array
and `conv2d` works on it as it is. The six neighbours of a point are (0, 1), (0, -1), (1, 0), (-1, 0), (1, -1), (-1, 1).
"""

import math
from dataclasses import dataclass, replace
from typing import Literal, final, get_args

import numpy as np
import torch
from jaxtyping import Bool, Float, Int, Shaped
from torch import Tensor

from orbitconv._support.checks import check_positive

Shape = Literal["hexagon", "disc"]
"""Which points of the array are in use: a regular hexagon, or the disc inside it. Both keep turns exact."""

AXES = np.array([[math.sqrt(3) / 2, 0.0], [0.5, 1.0]])
"""From axial coordinates to (row, column) offsets, in units of the spacing."""


@final
@dataclass(frozen=True)
class HexagonalGrid:
    """A regular hexagon of lattice points, or the disc inside it, about one point.

    Six-fold turns and mirrors about the centre map the points in use to each other. A square or a rectangle of points
    has no such symmetry: see docs/hexagons.md.

    Args:
        radius: Points from the centre to a corner of the hexagon; arrays have the side 2 radius + 1.
        shape: `"hexagon"` or `"disc"`.
        spacing: Distance between neighbours, in pixels of the square image that the grid stands for.
        turned: Whether the axes are a quarter turn ahead of the plane's, as after taking one point in three.

    Raises:
        TypeError: If the radius is not an integer.
        ValueError: If the radius is below one, the shape unknown, or the spacing not a finite number above zero.

    Source: Hoogeboom, Peters, Cohen & Welling (2018), HexaConv.
    """

    radius: int
    shape: Shape = "hexagon"
    spacing: float = 1.0
    turned: bool = False

    def __post_init__(self) -> None:
        check_positive("HexagonalGrid", radius=self.radius)
        check_shape("HexagonalGrid", self.shape)
        if not 0 < self.spacing < math.inf:
            raise ValueError(f"HexagonalGrid expects a finite spacing > 0 pixels, got {self.spacing}.")

    @property
    def side(self) -> int:
        """Side of the axial array."""
        return 2 * self.radius + 1

    @property
    def mask(self) -> Bool[np.ndarray, "i j"]:
        """The points of the array that are in use."""
        return grid_mask(self.side, self.shape).numpy()

    @property
    def positions(self) -> Float[np.ndarray, "2 i j"]:
        """(row, column) offsets of every point of the array from the centre, in pixels."""
        axial = np.indices((self.side, self.side)) - self.radius
        rows, cols = self.spacing * np.tensordot(AXES, axial, axes=1)
        return np.stack([-cols, rows]) if self.turned else np.stack([rows, cols])

    def take(self, sublattice: Literal[3, 4]) -> "HexagonalGrid":
        """The largest grid of the same shape on one point in three or four, about the same centre.

        Args:
            sublattice: 3 for points sqrt(3) apart, whose axes are turned by 90 degrees; 4 for every second one.

        Returns:
            The coarser grid.

        Raises:
            ValueError: If the sublattice is neither 3 nor 4, or no ring of points is left around the centre.
        """
        radius = taken_radius("HexagonalGrid.take", self.radius, sublattice, self.shape)
        spacing = self.spacing * math.sqrt(sublattice)
        return replace(self, radius=radius, spacing=spacing, turned=self.turned ^ (sublattice == 3))

    def to_offset(self, axial: Shaped[Tensor, "*b i j"]) -> Shaped[Tensor, "*b i j"]:
        """Axial arrays in offset rows: column j + floor(i / 2), so that columns stand as in space.

        Zero beside the hexagon.

        Raises:
            ValueError: If the arrays are not of this grid.
        """
        return self._shift(axial, 1)

    def from_offset(self, offset: Shaped[Tensor, "*b i j"]) -> Shaped[Tensor, "*b i j"]:
        """Offset rows as axial arrays, zero outside the hexagon: what `to_offset` undoes.

        Raises:
            ValueError: If the arrays are not of this grid.
        """
        return self._shift(offset, -1)

    def _shift(self, planes: Shaped[Tensor, "*b i j"], sign: int) -> Shaped[Tensor, "*b i j"]:
        """Move row i by floor(i / 2) columns, to the right or back."""
        self.check(planes)
        i = np.arange(self.side) - self.radius
        columns = np.arange(self.side) - sign * (i // 2)[:, None]
        inside = (columns >= 0) & (columns < self.side)
        axial = columns if sign > 0 else np.arange(self.side)[None]
        inside &= grid_mask(self.side, "hexagon").numpy()[np.arange(self.side)[:, None], axial.clip(0, self.side - 1)]
        index: Int[Tensor, "i j"] = torch.from_numpy(columns.clip(0, self.side - 1)).to(planes.device)
        moved = planes.gather(-1, index.expand(planes.shape))
        return torch.where(torch.from_numpy(inside).to(planes.device), moved, torch.zeros_like(moved))

    def check(self, planes: Tensor) -> None:
        """Refuse arrays that are not of this grid.

        Raises:
            ValueError: If the last two axes do not have the side of the grid.
        """
        if planes.ndim < 2 or tuple(planes.shape[-2:]) != (self.side, self.side):
            raise ValueError(
                f"A hexagonal grid of radius {self.radius} has arrays of {self.side}x{self.side}, got shape "
                f"{tuple(planes.shape)}."
            )


def check_shape(owner: str, shape: str) -> None:
    """Refuse shapes of a grid that there are not."""
    if shape not in get_args(Shape):
        raise ValueError(f"{owner} expects shape 'hexagon' or 'disc', got {shape!r}.")


def radius_of(owner: str, planes: Tensor) -> int:
    """The radius of the grid that axial arrays are on."""
    height, width = planes.shape[-2:]
    if height != width or height % 2 == 0 or height < 3:
        raise ValueError(
            f"{owner} expects axial arrays of one odd side of 3 or more, whose central element is the centre of the "
            f"lattice, got {height}x{width}. Images become such arrays with orbitconv.hexagonal.to_hexagonal."
        )
    return height // 2


def grid_mask(side: int, shape: Shape, device: torch.device | None = None) -> Bool[Tensor, "i j"]:
    """The points of an axial array that are in use."""
    radius = side // 2
    axis = torch.arange(-radius, radius + 1, device=device)
    i, j = axis[:, None], axis[None, :]
    inside = (i + j).abs() <= radius
    # Squared distances are integers: i i + i j + j j.
    return inside if shape == "hexagon" else inside & (4 * (i * i + i * j + j * j) <= 3 * radius * radius)


def taken_radius(owner: str, radius: int, sublattice: int, shape: Shape) -> int:
    """The radius of the largest grid on one point in three or four that fits into a grid of the same shape."""
    if sublattice not in {3, 4}:
        raise ValueError(
            f"{owner} expects sublattice 3 (points sqrt(3) apart) or 4 (every second), got {sublattice!r}."
        )
    # The hexagon of every third point is turned by 30 degrees: its corners are the middles of the larger one's sides.
    fits = math.isqrt(radius * radius // 3) if (sublattice, shape) == (3, "disc") else radius // 2
    if fits < 1:
        raise ValueError(
            f"{owner} has no ring of points left around the centre: one in {sublattice} of a {shape} of radius "
            f"{radius}. Use a larger grid or fewer pools."
        )
    return fits
