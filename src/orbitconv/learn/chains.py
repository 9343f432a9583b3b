"""Chains of a transformation that loses directions, and the cycles they become when their ends are joined.

A shift with zero fill never produces the first column and loses the last: a partial isometry T. Whatever it never
produces starts a chain `v, T v, ..., T^(N-1) v` that ends in what it loses. Sending each end to its start makes cycles
of length N.
"""

import torch
from jaxtyping import Float
from torch import Tensor

# Squared singular values of an orthogonal matrix are 1; outside these bounds a direction is lost, or doubly used.
_BOUNDS = 0.25, 2.0


def join_chains(T: Float[Tensor, "p p"], order: int) -> Float[Tensor, "p p"]:
    """Send the end of every chain of length `order` to its start: `T + (T^T)^(order-1)`.

    The power of the transpose takes ends to starts and vanishes on everything else, because no other direction can be
    followed back that far. The result is orthogonal with `M^N = 1` and `M = T` where T keeps norms, if all chains have
    length N; it is T itself if that loses nothing.
    """
    lost = len(T) - round(float(T.square().sum()))
    return T + torch.linalg.matrix_power(T.T, order - 1) if lost and order > 1 else T


def open_directions(matrix: Float[Tensor, "p p"]) -> int:
    """How many directions keep a matrix from being orthogonal: chains of another length, or directions without data."""
    squares = torch.linalg.eigvalsh(matrix.T @ matrix)
    return int(((squares < _BOUNDS[0]) | (squares > _BOUNDS[1])).sum())
