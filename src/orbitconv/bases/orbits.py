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
    group: Group, window: tuple[int, int], transform: Callable[[int], Float[np.ndarray, "d p"]]
) -> Float[np.ndarray, "g d ky kx"]:
    """Atoms at every element from the atoms at the rests of `factor_exact`, by exact moves of the grid.

    Quarter turns (and mirrors) of the result are exact to the last bit, however the other angles were made.

    Args:
        group: The group.
        window: Height and width of the atoms.
        transform: Gives the flattened atoms transformed by one element.

    Returns:
        Atoms of shape (|G|, D, height, width).
    """
    factors = factor_exact(group, *window)
    made = {rest: transform(rest) for rest in sorted({rest for _, rest in factors})}
    orbit = [made[rest][:, grid_permutation(group, exact, *window)] for exact, rest in factors]
    return np.stack(orbit).reshape(group.order, -1, *window)


def normalize_by_mean_gram(atoms: Float[np.ndarray, "g d ky kx"]) -> Float[np.ndarray, "g d ky kx"]:
    """Mix atoms so that they are orthonormal on average over the group, each staying as near to itself as it can.

    The mean Gram matrix is the same for every element's copy of the basis, so the span, the orbits and every error
    stay what they are, while coefficients of equal size make filters of equal norm.

    Args:
        atoms: Linearly independent atoms.

    Returns:
        `G^(-1/2)` times the atoms, with the mean Gram matrix G.
    """
    flat = atoms.reshape(*atoms.shape[:2], -1)
    values, vectors = np.linalg.eigh(np.einsum("gdp,gep->de", flat, flat) / len(flat))
    return np.einsum("de,gepq->gdpq", (vectors / np.sqrt(values)) @ vectors.T, atoms)
