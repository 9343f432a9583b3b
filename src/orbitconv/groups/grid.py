"""The exact action on a pixel grid, for the elements that map the grid to itself."""

from functools import lru_cache

import numpy as np
from jaxtyping import Int

from orbitconv.groups.group import Group


def exact_elements(group: Group, height: int, width: int) -> tuple[int, ...]:
    """Elements, in ascending order, that map a grid of pixels to itself about its centre; they form a subgroup."""
    return tuple(g for g in range(group.order) if is_exact(group, g, height, width))


def is_exact(group: Group, g: int, height: int, width: int) -> bool:
    """Whether one element maps a grid of pixels to itself: every pixel lands on a pixel.

    Quarter turns need a square grid; half turns and the left-right and up-down mirrors fit any grid.
    """
    quarters = 4 * int(group.rotation_steps[g])
    if height == width == 1:
        return True
    if quarters % group.num_rotations:
        return False
    return height == width or (quarters // group.num_rotations) % 2 == 0


@lru_cache(maxsize=4096)
def grid_permutation(group: Group, g: int, height: int, width: int) -> Int[np.ndarray, " p"]:
    """Where each pixel of the transformed grid comes from: `(T_g f).ravel() = f.ravel()[permutation]` (read only).

    Raises:
        ValueError: If the element does not map the grid to itself.
    """
    if not is_exact(group, g, height, width):
        degrees = np.degrees(group.angles[g])
        raise ValueError(
            f"A turn by {degrees:g} degrees does not map a {height}x{width} grid to itself: quarter turns need "
            "height == width, other angles never fit. Use act_image with its interpolation instead."
        )
    rows, cols = np.meshgrid(np.arange(height), np.arange(width), indexing="ij")
    centre = np.array([[height - 1], [width - 1]])
    offsets = 2 * np.stack([rows.ravel(), cols.ravel()]) - centre
    inverse = np.eye(2) if height == width == 1 else np.rint(group.matrix(g)).T
    source = (inverse.astype(int) @ offsets + centre) // 2
    permutation = source[0] * width + source[1]
    permutation.setflags(write=False)
    return permutation
