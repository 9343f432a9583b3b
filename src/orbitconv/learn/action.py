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

from orbitconv._support.checks import check_finite, check_positive
from orbitconv._support.precision import without_autocast
from orbitconv.learn.pair_moments import PairMoments, Pairs, measure_pairs
from orbitconv.learn.polar import complement, kept_directions, singular_vectors

# Directions of f with less than this share of the largest energy count as never excited: only rounding is left of them.
_EXCITED = 1e-10

# Share of ||T f|| that a norm-preserving map may leave unexplained, and change of norms, before the user is told.
_UNEXPLAINED, _NORMS = 0.1, 0.01

# Confidence counts as no less than this where it is divided by.
_DOUBTFUL = 0.1


@final
@dataclass(frozen=True, eq=False, kw_only=True)
class LearnedAction:
    """The matrix M of a transformation: T f = M f, as far as the pairs tell.

    Args:
        matrix: M on flattened features, float64. Directions that nothing determines are mapped to zero, so that a
            unitary M of full rank is orthogonal and any other is a partial isometry: orthogonal from what T keeps to
            what T produces.
        feature_shape: Shape of one f.
        confidence: One number from 0 to 1 for each direction, largest first. Unitary: the correlation rho over pairs of
            f along `v_i` with T f along `u_i = M v_i`, for the singular directions of the cross moment, less what
            chance alone brings about: `c^2 = 1 - (1 - rho^2) (1 + 4 r / n)` for r excited directions and n pairs, which
            is 0 at the largest correlation that these directions reach where f and T f have nothing to do with each
            other. It falls with noise, and is 0 for directions without data. Unconstrained: the weight of the data
            against the prior.
        directions: The directions `v_i` that go with the confidence, as orthonormal rows: those that the pairs
            determine.
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
    directions: Float[Tensor, "r p"]
    coverage: Float[Tensor, "..."]
    rank: int
    error: float
    norm_error: float
    num_pairs: int
    unitary: bool

    @property
    def uncertainty(self) -> float:
        """How far noise in the pairs alone may have moved M: about `||M - T||_F / ||M||_F`, from the confidence.

        With noise of variance `1 / c^2 - 1` for each unit of signal along a direction of confidence c, as in the
        standard errors of least squares.
        """
        confidence = self.confidence[: self.rank].clamp(min=_DOUBTFUL)
        doubt = float((confidence.square().reciprocal() - 1).clamp(min=0).sum())
        return math.sqrt(doubt * len(self.confidence) / max(self.rank, 1) / self.num_pairs)

    @without_autocast
    def apply(self, x: Float[Tensor, "..."], power: int = 1) -> Float[Tensor, "..."]:
        """Apply the learned transformation.

        Args:
            x: Features of shape (..., *feature_shape).
            power: How many times; negative for the inverse, which a unitary action alone has.

        Returns:
            `M^power x`, of the shape and dtype of `x`.

        Raises:
            TypeError: If the features are not floating point, or the power is no integer.
            ValueError: If the shape does not fit, or the inverse of an unconstrained action is asked for.
        """
        if not x.is_floating_point():
            raise TypeError(
                f"LearnedAction.apply expects floating-point features, got {x.dtype}. Convert them first, as in "
                "x.float() / 255 for bytes."
            )
        if isinstance(power, bool) or not isinstance(power, int):
            raise TypeError(
                f"LearnedAction.apply expects power as a number of whole steps, got {power!r} "
                f"({type(power).__name__}). A learned matrix has no part of a step."
            )
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


@without_autocast
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
    smallest `||T f - M f||` (Procrustes), without directions of no more correlation than chance brings about. Taken
    over all directions at once, Procrustes would be wrong for such transformations, because what is lost correlates
    with what is kept.

    Unconstrained: `M = (C + lambda B) (Q + lambda)^-1`, with the prior B and `lambda = ridge * tr(Q) / P`.

    Args:
        pairs: One batch (f, T f), each of shape (n, ...features); an iterable of batches; or their moments. Work is
            done in float64 where they live.
        unitary: Whether M shall keep norms.
        rank: Unitary only: keep this many directions at most, those with the largest singular values of the cross
            moment: they explain most of T f.
        tolerance: Unitary only: directions whose norm least squares shrinks to less than this share are lost, and those
            of less confidence are not determined.
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
    error = moments.residual(fit.matrix)
    _warn_of_scale(moments)
    if unitary:
        _warn_of_misfit(fit, moments, error, truncated=rank is not None)
    return LearnedAction(
        matrix=fit.matrix,
        feature_shape=moments.feature_shape,
        confidence=fit.confidence,
        directions=fit.directions,
        coverage=fit.directions.square().sum(0).reshape(moments.feature_shape),
        rank=len(fit.directions),
        error=error,
        norm_error=moments.norm_error,
        num_pairs=moments.num_pairs,
        unitary=unitary,
    )


@dataclass(frozen=True, eq=False)
class _Fit:
    """A fitted matrix, and the confidence in all directions, largest first, 0 for those that are not determined.

    `directions` are orthonormal rows, those that are determined. If unitary, `energies` are along these the means of f
    times f, of T f times M f, and of T f times T f, and `free_error` is what least squares without any constraint
    leaves of `||T f||`.
    """

    matrix: Tensor
    confidence: Tensor
    directions: Tensor
    energies: tuple[float, float, float] = (1.0, 1.0, 1.0)
    free_error: float = 0.0


def _fit_unitary(moments: PairMoments, rank: int | None, tolerance: float, prior: Tensor | None) -> _Fit:
    """Procrustes between what T keeps and what it produces."""
    Q, C, S = moments.before, moments.cross, moments.after
    energy, E = torch.linalg.eigh(Q)
    excited = energy > _EXCITED * energy[-1]
    energy, E = energy[excited], E[:, excited]
    inverse = (E / energy) @ E.T
    kept, produced = kept_directions(C @ inverse, tolerance)
    U, strength, V = singular_vectors(produced.T @ C @ kept)
    U, V = produced @ U, kept @ V
    before, after = (V * (Q @ V)).sum(0), (U * (S @ U)).sum(0)
    doubt = (1 - strength.square() / (before * after)).clamp(min=0) * (1 + 4 * len(energy) / moments.num_pairs)
    found = (doubt < 1 - tolerance**2).nonzero()[:rank, 0]
    found = found[doubt[found].argsort()]
    U, strength, V, before, after = U[:, found], strength[found], V[:, found], before[found], after[found]
    matrix = U @ V.T
    confidence = Q.new_zeros(len(Q))
    confidence[: len(found)] = (1 - doubt[found]).sqrt()
    if prior is not None and V.shape[1] < len(Q):
        never, lost = complement(U), complement(V)
        W, trust, Z = singular_vectors(never.T @ prior @ lost)
        sure = trust > tolerance  # where the prior says nothing either, M stays zero
        matrix = matrix + never @ W[:, sure] @ (lost @ Z[:, sure]).T
    energies = (float(before.sum()), float(strength.sum()), float(after.sum())) if len(found) else (1.0, 1.0, 1.0)
    unexplained = 1 - float((C @ inverse * C).sum() / S.trace())
    free = max(unexplained, 0.0) * moments.num_pairs / max(moments.num_pairs - len(energy), 1)
    return _Fit(matrix, confidence, V.T, energies, math.sqrt(min(free, 1.0)))


def _fit_ridge(moments: PairMoments, ridge: float, prior: Tensor | None) -> _Fit:
    """Least squares with a pull; what is determined is where data outweigh the prior."""
    energy, E = torch.linalg.eigh(moments.before)
    energy = energy.clamp(min=0)
    pull = ridge * energy.mean()
    target = moments.cross if prior is None else moments.cross + pull * prior
    floor = energy[-1] * torch.finfo(energy.dtype).eps * math.sqrt(len(energy))
    seen = energy + pull > floor
    inverse = torch.where(seen, 1 / (energy + pull).clamp(min=floor), 0)
    weight = torch.where(seen, energy * inverse, 0)
    return _Fit(target @ (E * inverse) @ E.T, weight.flip(0), E[:, weight > 0.5].T.flip(0))


def _warn_of_scale(moments: PairMoments) -> None:
    """Tell of features that are there, but too small beside the others to be seen."""
    sizes = moments.before.diagonal()
    faint = int(((sizes > 0) & (sizes <= _EXCITED * sizes.max())).sum())
    if faint:
        warnings.warn(
            f"fit_action: {faint} of {len(sizes)} features are smaller than {math.sqrt(_EXCITED):.0e} of the largest "
            "one and are taken for rounding: what becomes of them is not learned. Bring features to one scale first.",
            stacklevel=3,
        )


def _warn_of_misfit(fit: _Fit, moments: PairMoments, error: float, *, truncated: bool) -> None:
    """Tell where no map that keeps norms explains the pairs, and why: norms, or noise."""
    before, cross, after = fit.energies
    grown, shrunk = cross / before - 1, 1 - after / cross  # noise makes neither larger, but for its square
    noise = (before - 2 * cross + after) / after
    few = moments.num_pairs < moments.num_features  # then no one can tell what shrinks from what is lost in part
    change = grown if few else max(grown, shrunk)
    if error > _UNEXPLAINED and not truncated:
        words = f"the best map that keeps norms leaves {error:.1%} of the transformed features unexplained"
        if fit.free_error < error / 2:
            words += (
                f", least squares {fit.free_error:.1%}; the transformation changes norms by "
                f"{moments.norm_error:.1%}. If it is not meant to keep norms, learn it with unitary=False."
            )
        else:
            words += (
                f", and so does least squares without that constraint ({fit.free_error:.1%}): it is noise, or the "
                "transformation is not linear. Clean the pairs or, for noise, draw more."
            )
    elif change > max(_NORMS, noise):
        words = (
            f"the transformation changes norms by {moments.norm_error:.1%}, those of what it keeps by {change:.1%}, "
            "and the learned map does not. If that is meant, learn it with unitary=False."
        )
    else:
        return
    warnings.warn(f"fit_action: {words}", stacklevel=3)
