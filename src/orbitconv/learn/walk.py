"""Coordinates of features from the moves between them, and what the data left out filled in.

Features that no data excite (the border of unshifted digits is always 0) make gaps in learned shifts: their chains have
other lengths than the group asks for. But the moves between all other features fix their coordinates, and what stands
at the places left over makes no difference to the data.
"""

from collections import deque
from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

# Share of the features with moves that must hang together: a corner or two may be cut off from the others.
_MAIN_PIECE = 0.9


def complete_by_walking(
    partials: Sequence[Float[Tensor, "p p"]], orders: Sequence[int]
) -> tuple[list[Float[Tensor, "p p"]], Float[Tensor, " p"] | None] | None:
    """Complete signed partial permutations to commuting ones of given orders, whose product is the number of features.

    A walk along the moves gives every feature that it meets a place on the grid `orders[0] x orders[1] x ...`, which
    wraps around. Features without moves, and small islands of them, take the places left over.

    Returns the permutations, and the unit vector at the corner of the grid (in the middle of the run of places along
    each axis that are never moved to; None if an axis has no such run). None if the moves contradict each other or fall
    apart into large pieces.
    """
    size, shape = len(partials[0]), tuple(orders)
    if np.prod(shape) != size:
        return None
    met = _walk([partial.cpu().numpy() for partial in partials], shape)
    if met is None:
        return None
    places, signs = met
    slots = np.full(size, -1)  # feature at each place
    seen = np.flatnonzero(places[:, 0] >= 0)
    flat = np.ravel_multi_index(tuple(places[seen].T), shape)
    if len(np.unique(flat)) < len(seen):
        return None
    slots[flat] = seen
    slots[slots < 0] = np.setdiff1d(np.arange(size), seen)
    grid = slots.reshape(shape)
    complete = []
    for axis, partial in enumerate(partials):
        target = np.roll(grid, -1, axis).ravel()
        permutation = np.zeros((size, size))
        permutation[target, slots] = signs[target] * signs[slots]
        complete.append(torch.from_numpy(permutation).to(partial))
    corner = [
        _start(partial, places[:, axis], order)
        for axis, (partial, order) in enumerate(zip(partials, shape, strict=True))
    ]
    if any(start is None for start in corner):
        return complete, None
    origin = torch.zeros_like(partials[0][0])
    feature = grid[tuple(corner)]
    origin[feature] = float(signs[feature])
    return complete, origin


def _walk(
    moves: list[np.ndarray], shape: tuple[int, ...]
) -> tuple[Int[np.ndarray, "p k"], Int[np.ndarray, " p"]] | None:
    """Place and sign of every feature that moves connect; places of the others are negative."""
    size = len(moves[0])
    links: list[list[tuple[int, int, int, int]]] = [[] for _ in range(size)]
    for axis, move in enumerate(moves):
        for target, source in np.argwhere(move).tolist():
            sign = int(move[target, source])
            links[source].append((target, axis, 1, sign))
            links[target].append((source, axis, -1, sign))
    places, signs = np.full((size, len(shape)), -1), np.ones(size, dtype=int)
    first = max(range(size), key=lambda feature: len(links[feature]))
    places[first] = 0
    queue = deque([first])
    while queue:
        here = queue.popleft()
        for there, axis, step, sign in links[here]:
            place = places[here].copy()
            place[axis] = (place[axis] + step) % shape[axis]
            if places[there, 0] < 0:
                places[there], signs[there] = place, signs[here] * sign
                queue.append(there)
            elif (places[there] != place).any() or signs[there] != signs[here] * sign:
                return None
    linked, met = sum(map(bool, links)), int((places[:, 0] >= 0).sum())
    return (places, signs) if met >= _MAIN_PIECE * linked else None


def _start(partial: Tensor, places: Int[np.ndarray, " p"], order: int) -> int | None:
    """Where an axis begins: in the middle of the longest run of places that nothing is moved to."""
    moved_to = partial.any(1).cpu().numpy() & (places >= 0)
    empty = np.bincount(places[moved_to], minlength=order) == 0
    if not empty.any() or empty.all():
        return None
    runs = [0] * order  # length of the run that ends at each place
    for place in range(-order, order):
        runs[place % order] = runs[(place - 1) % order] + 1 if empty[place % order] else 0
    end = int(np.argmax(runs))
    return (end - (runs[end] - 1) // 2) % order
