"""How a transformation acts on features, learned in closed form from pairs (f, T f) and nothing else.

No grid, no neighbourhood and no order of the pixels enter: any transformation of which pairs can be drawn will do.
"""

import math
import warnings
from dataclasses import dataclass
from typing import final

import torch
from jaxtyping import Float
from torch import Tensor

from orbitconv.checks import check_finite, check_positive
from orbitconv.learn.pair_moments import PairMoments, Pairs, measure_pairs
from orbitconv.learn.polar import complement, singular_vectors, split_domain

# Directions of f with less than this share of the largest energy count as never excited: only rounding is left of them.
_EXCITED = 1e-10

# Share of ||T f|| that a norm-preserving map may leave unexplained before the user is told.
_UNEXPLAINED = 0.1


@final
@dataclass(frozen=True, eq=False, kw_only=True)
class LearnedAction:
    """The matrix M of a transformation: T f = M f, as far as the pairs tell.

    Args:
        matrix: M on flattened features, float64. Directions that nothing determines are mapped to zero, so that a
            unitary M of full rank is orthogonal and any other is a partial isometry: orthogonal from what T keeps to
            what T produces.
        feature_shape: Shape of one f.
        confidence: One number from 0 to 1 for each direction, largest first. Unitary: the correlation over pairs of
            f along `v_i` with T f along `u_i = M v_i`, for the singular directions of the cross moment; it falls
            with noise, and is 0 for directions without data. Unconstrained: the weight of the data against the
            prior.
        coverage: For each feature, the share of its squared length in directions that the pairs determine.
        rank: Number of directions that the pairs determine.
        error: `||T f - M f|| / ||T f||` over the pairs; values under about 1e-7 are rounding.
        norm_error: Root mean square of `||T f|| - ||f||` over the pairs, relative to `||f||`.
        num_pairs: Number of pairs that M was learned from.
        unitary: Whether M was asked to keep norms.
    """

    matrix: Float[Tensor, "p p"]
    feature_shape: tuple[int, ...]
    confidence: Float[Tensor, " p"]
    coverage: Float[Tensor, "..."]
    rank: int
    error: float
    norm_error: float
    num_pairs: int
    unitary: bool

    def apply(self, x: Float[Tensor, "..."], power: int = 1) -> Float[Tensor, "..."]:
        """Apply the learned transformation.

        Args:
            x: Features of shape (..., *feature_shape).
            power: How many times; negative for the inverse, which a unitary action alone has.

        Returns:
            `M^power x`, of the shape and dtype of `x`.

        Raises:
            ValueError: If the shape does not fit, or the inverse of an unconstrained action is asked for.
        """
        dims = len(self.feature_shape)
        if tuple(x.shape[x.ndim - dims :]) != self.feature_shape or x.ndim < dims:
            raise ValueError(
                f"LearnedAction.apply expects features of shape (..., {', '.join(map(str, self.feature_shape))}), got "
                f"{tuple(x.shape)}."
            )
        if power < 0 and not self.unitary:
            raise ValueError(
                f"LearnedAction.apply expects power >= 0 for an action learned with unitary=False, got {power}: its "
                "inverse may be unbounded. Learn it from the pairs (T f, f) instead."
            )
        matrix = torch.linalg.matrix_power(self.matrix if power >= 0 else self.matrix.T, abs(power))
        return (x.flatten(x.ndim - dims) @ matrix.T.to(x)).reshape(x.shape)


def fit_action(
    pairs: Pairs | PairMoments,
    *,
    unitary: bool = True,
    rank: int | None = None,
    tolerance: float = 0.1,
    ridge: float = 1e-8,
    prior: Float[Tensor, "p p"] | None = None,
) -> LearnedAction:
    """Learn the matrix of a transformation from pairs (f, T f), in closed form.

    Unitary: least squares, `A = C Q^+`, first tells what T loses (as a shift with zero fill loses the last column):
    singular values of A near zero. Between what T keeps and what it produces, M is then the orthogonal map with the
    smallest `||T f - M f||` (Procrustes). Taken over all directions at once, Procrustes would be wrong for
    such transformations, because what is lost correlates with what is kept.

    Unconstrained: `M = (C + lambda B) (Q + lambda)^-1`, with the prior B and `lambda = ridge * tr(Q) / P`.

    Args:
        pairs: One batch (f, T f), each of shape (n, ...features); an iterable of batches; or their moments. Work is
            done in float64 where they live.
        unitary: Whether M shall keep norms.
        rank: Unitary only: keep this many directions at most, those that least squares shrinks least.
        tolerance: Unitary only: directions whose norm least squares shrinks to less than this share are lost.
        ridge: Unconstrained only: pull towards the prior, relative to the mean energy of a feature.
        prior: Matrix to fall back on where the pairs say nothing, for example the identity; None maps what is not
            determined to zero. A unitary M uses its nearest partial isometry there.

    Returns:
        The learned action.

    Raises:
        ValueError: If there are fewer pairs than directions to determine and no prior, or an argument is out of range.

    Source: Schönemann (1966), A generalized solution of the orthogonal Procrustes problem.
    """
    moments = measure_pairs(pairs)
    num_features = moments.num_features
    if rank is not None:
        check_positive("fit_action", rank=rank)
    if not 0 < tolerance < 1 or not ridge >= 0:
        raise ValueError(f"fit_action expects 0 < tolerance < 1 and ridge >= 0, got {tolerance} and {ridge}.")
    needed = num_features if rank is None else min(rank, num_features)
    if prior is None and moments.num_pairs < needed:
        raise ValueError(
            f"fit_action expects at least {needed} pairs to determine {needed} directions of {num_features} features, "
            f"got {moments.num_pairs}. Draw {needed - moments.num_pairs} more, or name a prior to fall back on."
        )
    if prior is not None:
        if tuple(prior.shape) != (num_features, num_features):
            raise ValueError(
                f"fit_action expects a prior of shape ({num_features}, {num_features}), got {tuple(prior.shape)}."
            )
        check_finite("fit_action", "prior", prior)
        prior = prior.to(moments.sums)
    fit = _fit_unitary(moments, rank, tolerance, prior) if unitary else _fit_ridge(moments, ridge, prior)
    matrix, confidence, determined = fit
    error, norm_error = moments.residual(matrix), moments.norm_error
    if unitary and rank is None and error > _UNEXPLAINED:
        warnings.warn(
            f"fit_action: the best map that keeps norms leaves {error:.1%} of the transformed features "
            f"unexplained; the transformation itself changes norms by {norm_error:.1%}. If it is not meant to keep "
            "norms, learn it with unitary=False.",
            stacklevel=2,
        )
    return LearnedAction(
        matrix=matrix,
        feature_shape=moments.feature_shape,
        confidence=confidence,
        coverage=determined.square().sum(1).reshape(moments.feature_shape),
        rank=determined.shape[1],
        error=error,
        norm_error=norm_error,
        num_pairs=moments.num_pairs,
        unitary=unitary,
    )


def _fit_unitary(
    moments: PairMoments, rank: int | None, tolerance: float, prior: Tensor | None
) -> tuple[Tensor, Tensor, Tensor]:
    """M, the confidence of its directions, and orthonormal columns that span what is determined."""
    Q, C, S = moments.before, moments.cross, moments.after
    energy, E = torch.linalg.eigh(Q)
    excited = energy > _EXCITED * energy[-1]
    least_squares = C @ (E[:, excited] / energy[excited]) @ E[:, excited].T
    kept, produced, lost = split_domain(least_squares, tolerance, rank)
    U, strength, V = singular_vectors(produced.T @ C @ kept)
    U, V = produced @ U, kept @ V
    matrix = U @ V.T
    correlation = strength / torch.sqrt((V * (Q @ V)).sum(0) * (U * (S @ U)).sum(0))
    confidence = energy.new_zeros(len(energy))
    confidence[: len(correlation)] = correlation.clamp(max=1).sort(descending=True).values
    if prior is not None and lost.shape[1]:
        never = complement(produced)
        U, strength, V = singular_vectors(never.T @ prior @ lost)
        sure = strength > tolerance  # where the prior says nothing either, M stays zero
        matrix = matrix + never @ U[:, sure] @ (lost @ V[:, sure]).T
    return matrix, confidence, kept


def _fit_ridge(moments: PairMoments, ridge: float, prior: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
    """M, the weight of the data in each direction, and orthonormal columns that span where data outweigh the prior."""
    energy, E = torch.linalg.eigh(moments.before)
    energy = energy.clamp(min=0)
    pull = ridge * energy.mean()
    target = moments.cross if prior is None else moments.cross + pull * prior
    floor = energy[-1] * torch.finfo(energy.dtype).eps * math.sqrt(len(energy))
    seen = energy + pull > floor
    inverse = torch.where(seen, 1 / (energy + pull).clamp(min=floor), 0)
    weight = torch.where(seen, energy * inverse, 0)
    return target @ (E * inverse) @ E.T, weight.flip(0), E[:, weight > 0.5]
