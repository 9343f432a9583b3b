"""How turns and mirrors act on axial arrays: exactly by multiples of 60 degrees, by a spline at other angles."""

import math

import torch
from jaxtyping import Float, Shaped
from torch import Tensor

from orbitconv.groups import Dihedral, Group, act_regular
from orbitconv.hexagonal.grid import HexagonalGrid, Shape, grid_mask, radius_of
from orbitconv.hexagonal.moves import hexagonal_permutation, is_exact_on_hexagons
from orbitconv.hexagonal.spline import HexagonalSpline

_SIX = Dihedral(6)


def turn_hexagonal(planes: Shaped[Tensor, "*b i j"], steps: int, *, mirror: bool = False) -> Shaped[Tensor, "*b i j"]:
    """Turn axial arrays about their central point by multiples of 60 degrees, a permutation of their elements.

    Steps count counter-clockwise as displayed, after a mirror from left to right if asked for. Elements outside the
    hexagon become zero.

    Raises:
        ValueError: If the arrays are not of one odd side.
    """
    return _move(planes, _SIX, steps % 6 + (6 if mirror else 0))


def _move(planes: Shaped[Tensor, "*b i j"], group: Group, g: int) -> Shaped[Tensor, "*b i j"]:
    side = 2 * radius_of("turn_hexagonal", planes) + 1
    index = torch.from_numpy(hexagonal_permutation(group, g, side).copy()).to(planes.device)
    moved = planes.flatten(-2).index_select(-1, index).reshape(planes.shape)
    return moved * grid_mask(side, "hexagon", planes.device)


def rotate_hexagonal(
    planes: Float[Tensor, "*b i j"], angle: float, *, shape: Shape = "hexagon"
) -> Float[Tensor, "*b i j"]:
    """Rotate axial arrays about their central point by any angle, with a cubic spline.

    Args:
        planes: Axial arrays of any leading shape.
        angle: Angle in radians, counter-clockwise as displayed.
        shape: Points in use. Every rotation keeps a disc in view; the corners of a hexagon come from beyond its sides,
            where its outermost points are repeated.

    Returns:
        Arrays of the same shape; zero outside the points in use.

    Raises:
        TypeError: If the arrays are not floating point.
        ValueError: If they are not of one odd side, or the angle is not finite.
    """
    radius = radius_of("rotate_hexagonal", planes)
    if not planes.is_floating_point():
        raise TypeError(f"rotate_hexagonal expects floating-point arrays, got {planes.dtype}. Convert them first.")
    if not math.isfinite(angle):
        raise ValueError(f"rotate_hexagonal expects a finite angle in radians, got {angle}.")
    rows, cols = torch.from_numpy(HexagonalGrid(radius).positions).flatten(1)
    cos, sin = math.cos(angle), math.sin(angle)
    source = torch.stack([cos * rows + sin * cols, cos * cols - sin * rows])
    flat = planes.reshape(-1, *planes.shape[-2:])
    values = HexagonalSpline(flat).at(source).reshape(planes.shape)
    return values * grid_mask(2 * radius + 1, shape, planes.device)


def act_hexagonal(
    planes: Shaped[Tensor, "*b i j"], group: Group, g: int, *, shape: Shape = "hexagon", features: bool = False
) -> Shaped[Tensor, "*b i j"]:
    """Transform the plane: (T_g f)(x) = f(g^-1 x), about the central point.

    Exact wherever `g` maps the lattice to itself, a spline elsewhere.

    Args:
        planes: Axial arrays of any leading shape.
        group: The group.
        g: Group element.
        shape: Points in use where a spline is needed.
        features: Whether the arrays are feature maps (batch, channels, group, side, side), whose group axis is
            permuted by the regular representation too.

    Returns:
        Arrays of the same shape.

    Raises:
        ValueError: If the arrays are not of one odd side, or the group axis has another length.
    """
    group.check_element(g)
    if features:
        planes = act_regular(planes, group, g)
    if is_exact_on_hexagons(group, g):
        return _move(planes, group, g)
    mirrored = turn_hexagonal(planes, 0, mirror=True) if group.mirrors[g] else planes
    return rotate_hexagonal(mirrored, float(group.angles[g]), shape=shape)
