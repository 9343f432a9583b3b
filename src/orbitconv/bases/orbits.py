"""From the few elements that need work to the whole orbit, exactly."""

from collections.abc import Callable

import numpy as np
from jaxtyping import Float

from orbitconv.groups import Group, exact_elements, grid_permutation


def factor_exact(group: Group, height: int, width: int) -> list[tuple[int, int]]:
    """Write every element as `exact * rest`: an exact move of the grid after one of a few remaining rotations.

    Args:
        group: The group.
        height: Rows of the grid.
        width: Columns of the grid.

    Returns:
        A pair (exact, rest) for each element. The rests are the first element of each coset of the exact
        subgroup: 0 and 1 for C8 or D8 on a square grid.
    """
    factors: dict[int, tuple[int, int]] = {}
    for rest in range(group.order):
        if rest not in factors:
            for exact in exact_elements(group, height, width):
                factors[int(group.product[exact, rest])] = (exact, rest)
    return [factors[g] for g in range(group.order)]


def complete_orbit(
    group: Group,
    window: tuple[int, int],
    transform: Callable[[int], Float[np.ndarray, "d p"]],
    *,
    normalize: bool = False,
) -> Float[np.ndarray, "g d ky kx"]:
    """Atoms at every element from the atoms at the rests of `factor_exact`, by exact moves of the grid.

    Quarter turns (and mirrors) of the result are exact to the last bit, however the other angles were made.

    Args:
        group: The group.
        window: Height and width of the atoms.
        transform: Gives the flattened atoms transformed by one element.
        normalize: Make the atoms orthonormal on average over the group, by Gram-Schmidt in their order: with the mean
            Gram matrix `G = L L^T` they become `L^-1` times what they were. Coefficients of equal size then make
            filters of equal norm; the span of the first D atoms, for every D, and every error stay what they are.

    Returns:
        Atoms of shape (|G|, D, height, width).
    """
    factors = factor_exact(group, *window)
    made = {rest: transform(rest) for rest in sorted({rest for _, rest in factors})}
    if normalize:
        gram = np.mean([made[rest] @ made[rest].T for _, rest in factors], axis=0)
        triangle = np.linalg.cholesky(gram)
        made = {rest: np.linalg.solve(triangle, atoms) for rest, atoms in made.items()}
    orbit = [made[rest][:, grid_permutation(group, exact, *window)] for exact, rest in factors]
    return np.stack(orbit).reshape(group.order, -1, *window)
