"""From the few elements that need work to the whole orbit, exactly."""

from collections.abc import Callable
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float, Int

from orbitconv.groups import Group, exact_elements, grid_permutation
from orbitconv.hexagonal import exact_hexagonal_elements, hexagonal_permutation
from orbitconv.hexagonal.grid import grid_mask

Lattice = Literal["square", "hexagonal"]
"""What the pixels of a filter are: a grid of squares, or an axial array of the hexagonal lattice."""


def exact_moves(group: Group, window: tuple[int, int], lattice: Lattice = "square") -> dict[int, Int[np.ndarray, " p"]]:
    """The elements that map the pixels of a filter to each other, and where each pixel then comes from."""
    if lattice == "hexagonal" and window != (1, 1):
        return {g: hexagonal_permutation(group, g, window[0]) for g in exact_hexagonal_elements(group)}
    return {g: grid_permutation(group, g, *window) for g in exact_elements(group, *window)}


def support_of(window: tuple[int, int], lattice: Lattice = "square") -> Bool[np.ndarray, " p"]:
    """Which pixels of a flattened window a filter has: all of them, or those of the hexagon in an axial array."""
    height, width = window
    if lattice == "square":
        return np.ones(height * width, dtype=bool)
    if height != width or height % 2 == 0:
        raise ValueError(
            f"A filter on hexagons has a central tap and one radius: its axial array has one odd side (3, 5, 7 for the "
            f"radii 1, 2, 3), got {height}x{width}."
        )
    return grid_mask(height, "hexagon").numpy().ravel()


def factor_exact(group: Group, height: int, width: int, lattice: Lattice = "square") -> list[tuple[int, int]]:
    """Write every element as `exact * rest`: an exact move of the grid after one of a few remaining rotations.

    The rests are the first element of each coset of the exact subgroup: 0 and 1 for C8 or D8 on a square grid, and for
    C12 or D12 on a hexagonal one.
    """
    factors: dict[int, tuple[int, int]] = {}
    for rest in range(group.order):
        if rest not in factors:
            for exact in exact_moves(group, (height, width), lattice):
                factors[int(group.product[exact, rest])] = (exact, rest)
    return [factors[g] for g in range(group.order)]


def complete_orbit(
    group: Group,
    window: tuple[int, int],
    transform: Callable[[int], Float[np.ndarray, "d p"]],
    *,
    normalize: bool = False,
    lattice: Lattice = "square",
) -> Float[np.ndarray, "g d ky kx"]:
    """Atoms at every element from the atoms at the rests of `factor_exact`, by exact moves of the grid.

    Quarter turns (and mirrors) of the result are exact to the last bit, however `transform` made the flattened atoms at
    the other angles. `normalize` makes atoms orthonormal on average over the group, by Gram-Schmidt in their order:
    with the mean Gram matrix `G = L L^T` they become `L^-1` times what they were. Coefficients of equal size then make
    filters of equal norm; the span of the first D atoms, for every D, and every error stay what they are.
    """
    factors, moves = factor_exact(group, *window, lattice), exact_moves(group, window, lattice)
    made = {rest: transform(rest) for rest in sorted({rest for _, rest in factors})}
    if normalize:
        gram = np.mean([made[rest] @ made[rest].T for _, rest in factors], axis=0)
        triangle = np.linalg.cholesky(gram)
        made = {rest: np.linalg.solve(triangle, atoms) for rest, atoms in made.items()}
    orbit = [made[rest][:, moves[exact]] for exact, rest in factors]
    return np.stack(orbit).reshape(group.order, -1, *window)
