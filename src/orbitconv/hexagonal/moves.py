"""The moves that map the hexagonal lattice to itself: turns by multiples of 60 degrees, and mirrors."""

from functools import lru_cache

import numpy as np
from jaxtyping import Int

from orbitconv.groups import Group
from orbitconv.hexagonal.grid import AXES, grid_mask


def is_exact_on_hexagons(group: Group, g: int) -> bool:
    """Whether one element maps the lattice to itself."""
    return 6 * int(group.rotation_steps[g]) % group.num_rotations == 0


def exact_hexagonal_elements(group: Group) -> tuple[int, ...]:
    """Elements, in ascending order, that map the lattice to itself about one of its points; they form a subgroup."""
    return tuple(g for g in range(group.order) if is_exact_on_hexagons(group, g))


@lru_cache(maxsize=1024)
def axial_matrix(group: Group, g: int) -> Int[np.ndarray, "2 2"]:
    """An exact element as a matrix of integers that takes axial coordinates (i, j) to where `g` moves this point."""
    if not is_exact_on_hexagons(group, g):
        raise ValueError(
            f"A turn by {np.degrees(group.angles[g]):g} degrees does not map the hexagonal lattice to itself: only "
            "multiples of 60 degrees do. Use act_hexagonal, which interpolates, instead."
        )
    matrix = np.rint(np.linalg.solve(AXES, group.matrix(g) @ AXES)).astype(int)
    matrix.setflags(write=False)
    return matrix


@lru_cache(maxsize=1024)
def hexagonal_permutation(group: Group, g: int, side: int) -> Int[np.ndarray, " p"]:
    """Where each element of a transformed axial array comes from: `(T_g f).ravel() = f.ravel()[permutation]`.

    Elements outside the hexagon, which leave the array when it is turned, stay where they are. The result is read only.

    Raises:
        ValueError: If the element does not map the lattice to itself, or the side is even.
    """
    if side % 2 == 0:
        raise ValueError(f"An axial array of side {side} has no central point: sides are odd.")
    radius = side // 2
    points = np.indices((side, side)).reshape(2, -1) - radius
    source = np.rint(np.linalg.inv(axial_matrix(group, g))).astype(int) @ points
    inside = grid_mask(side, "hexagon").numpy().ravel()
    permutation = np.where(inside, (source[0] + radius) * side + source[1] + radius, np.arange(side * side))
    permutation.setflags(write=False)
    return permutation
