"""Transformations that move features onto features, learned from far fewer pairs than a matrix needs."""

import torch
from torch import Tensor

from orbitconv._support.precision import without_autocast
from orbitconv.learn.action import LearnedAction
from orbitconv.learn.pair_moments import PairMoments, Pairs, measure_pairs

# A rival whose mismatch is not this much larger than the best one's may be the true partner as well.
_MARGIN = 2.0

# Mismatch that is rounding: of sums in float64 whose terms cancel.
_ROUNDING = 1e-10


@without_autocast
def match_features(pairs: Pairs | PairMoments, *, tolerance: float = 0.1) -> LearnedAction:
    """Learn a transformation from pairs (f, T f), given that it moves features onto features (their sign may change).

    A matrix of P x P numbers needs P pairs. But where feature j goes to feature i, the numbers of j in f are those of i
    in T f, pair by pair, and a few dozen numbers tell most features apart. With `D[i, j]` the mean squared difference
    between T f at i and f at j, up to a sign, and relative to their energy, j goes to i if D[i, j] is the smallest
    of its row and of its column, and clearly so. Features with two equal partners, as those that are always zero, are
    left out; `close_group` fills such gaps.

    Args:
        pairs: One batch (f, T f), each of shape (n, ...features); an iterable of batches; or their moments.
        tolerance: Largest D of a match, from 0 (equal) to 1 (uncorrelated).

    Returns:
        The learned action: a signed partial permutation. Its confidence is `1 - D` of the matches.

    Raises:
        ValueError: If the tolerance is out of range, or no feature has a clear partner.
    """
    if not 0 < tolerance < 1:
        raise ValueError(f"match_features expects 0 < tolerance < 1, got {tolerance}.")
    moments = measure_pairs(pairs)
    cross = moments.cross
    energy = (moments.after.diagonal()[:, None] + moments.before.diagonal()) / 2
    mismatch = torch.where(energy > _ROUNDING * energy.max(), 1 - cross.abs() / energy, 1.0).clamp(min=0)
    clear = _clearly_smallest(mismatch) & _clearly_smallest(mismatch.T).T & (mismatch <= tolerance)
    if not bool(clear.any()):
        raise ValueError(
            f"match_features found no feature of T f that is one feature of f, in {moments.num_pairs} pairs. Draw more "
            "pairs, or learn the transformation with fit_action, which may mix features."
        )
    matrix = torch.where(clear, cross.sign(), 0)
    confidence = torch.zeros_like(mismatch[0])
    sources = clear.nonzero()[:, 1]
    found, order = (1 - mismatch[clear]).sort(descending=True)
    confidence[: len(found)] = found
    return LearnedAction(
        matrix=matrix,
        feature_shape=moments.feature_shape,
        confidence=confidence,
        directions=torch.eye(len(matrix)).to(matrix)[sources[order]],
        coverage=clear.any(0).to(matrix).reshape(moments.feature_shape),
        rank=len(found),
        error=moments.residual(matrix),
        norm_error=moments.norm_error,
        num_pairs=moments.num_pairs,
        unitary=True,
    )


def _clearly_smallest(mismatch: Tensor) -> Tensor:
    """Which entries are the smallest of their row, with no rival."""
    if mismatch.shape[1] == 1:
        return torch.ones_like(mismatch, dtype=torch.bool)  # there are no others
    best, rival = mismatch.topk(2, dim=1, largest=False).values.unbind(1)
    alone = rival > _MARGIN * best + _ROUNDING
    return (mismatch == best[:, None]) & alone[:, None]
