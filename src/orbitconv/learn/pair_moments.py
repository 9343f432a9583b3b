"""Second moments of pairs (f, T f): all that a linear action needs to know about the data it is learned from.

With f and T f as vectors of P features,

    Q = sum of f f^T,    C = sum of (T f) f^T,    S = sum of (T f) (T f)^T

give the squared residual `tr(S) - 2 tr(M^T C) + tr(M^T M Q)` of any matrix M. They are sums over pairs, so they need
one pass and constant memory, and they add up over batches, processes and machines.
"""

import math
from collections.abc import Iterable
from typing import TypeGuard

import torch
import torch.distributed as dist
from jaxtyping import Float
from torch import Tensor

from orbitconv._support.checks import check_finite
from orbitconv._support.precision import without_autocast
from orbitconv.learn.processes import sum_over_processes

Pairs = tuple[Tensor, Tensor] | Iterable[tuple[Tensor, Tensor]]
"""One batch (f, T f), each of shape (n, ...features), or any iterable of such batches."""

# Pairs that are turned into float64 at a time.
_CHUNK = 4096

# Numbers whose squares float64 can still sum.
_LARGEST = 1e150


class PairMoments:
    """Running sums of second moments of pairs, in float64; feed it batches with `update`.

    Args:
        feature_shape: Shape of one f, as in (28, 28).
        device: Where the sums live and the work is done.

    Attributes:
        num_pairs: Pairs added so far.
        is_total: Whether these are sums over processes, from `all_reduce`.

    Raises:
        ValueError: If the shape holds no feature.
    """

    def __init__(self, feature_shape: tuple[int, ...], *, device: torch.device | str | None = None) -> None:
        self.feature_shape = tuple(feature_shape)
        self.num_features = math.prod(self.feature_shape)
        if self.num_features < 1:
            raise ValueError(f"PairMoments expects features of at least one number, got shape {self.feature_shape}.")
        self.sums = torch.zeros(3, self.num_features, self.num_features, dtype=torch.float64, device=device)
        self.norm_change = torch.zeros((), dtype=torch.float64, device=device)
        self.num_pairs = 0
        self.is_total = False

    @without_autocast
    def update(self, before: Float[Tensor, "n ..."], after: Float[Tensor, "n ..."]) -> "PairMoments":
        """Add a batch of pairs, f and T f both of shape (n, *feature_shape).

        Raises:
            TypeError: If the pairs are not floating point.
            ValueError: If shapes differ, or a value is not finite or too large to be squared.
        """
        if before.shape != after.shape or tuple(before.shape[1:]) != self.feature_shape or before.ndim < 2:
            raise ValueError(
                f"PairMoments expects f and T f both of shape (n, {', '.join(map(str, self.feature_shape))}), got "
                f"{tuple(before.shape)} and {tuple(after.shape)}. Row i of the second must be row i of the first, "
                "transformed."
            )
        for name, values in (("f", before), ("T f", after)):
            if not values.is_floating_point():
                raise TypeError(f"PairMoments expects floating-point {name}, got {values.dtype}. Convert it first.")
            check_finite("PairMoments", name, values)
            if values.numel() and float(values.abs().max()) > _LARGEST:
                raise ValueError(
                    f"PairMoments expects {name} below {_LARGEST:.0e}, as squares are summed, got "
                    f"{float(values.abs().max()):.3g}. Divide f and T f by one number first."
                )
        for f, moved in zip(before.split(_CHUNK), after.split(_CHUNK), strict=True):
            f, moved = (x.detach().flatten(1).to(self.sums) for x in (f, moved))
            for slot, (a, b) in enumerate(((f, f), (moved, f), (moved, moved))):
                self.sums[slot] += a.T @ b
            self.norm_change += (moved.norm(dim=1) - f.norm(dim=1)).square().sum()
        self.num_pairs += len(before)
        return self

    def __add__(self, other: "PairMoments") -> "PairMoments":
        """Moments of both streams together."""
        if self.feature_shape != other.feature_shape:
            raise ValueError(
                f"PairMoments can be added for the same features only, got shapes {self.feature_shape} and "
                f"{other.feature_shape}."
            )
        total = PairMoments(self.feature_shape, device=self.sums.device)
        total.sums = self.sums + other.sums.to(self.sums)
        total.norm_change = self.norm_change + other.norm_change.to(self.norm_change)
        total.num_pairs = self.num_pairs + other.num_pairs
        total.is_total = self.is_total or other.is_total
        return total

    def all_reduce(self, process_group: "dist.ProcessGroup | None" = None) -> "PairMoments":
        """Moments of the pairs of all processes together, to the same bits on each; these stay what they are.

        Every process measures its share of the pairs, none or many, and all call this:

            moments = PairMoments((28, 28), device=fabric.device)
            moments.update(my_images, transform(my_images))
            action = fit_action(moments.all_reduce())

        Raises:
            ValueError: If the processes do not describe the same features, or hold sums over processes already, which
                would count twice. All of them raise, and none is left waiting.
        """
        counts = torch.stack([self.norm_change, torch.full_like(self.norm_change, self.num_pairs)])
        summed = sum_over_processes(
            "PairMoments",
            f"feature_shape={self.feature_shape}",
            torch.cat([self.sums.flatten(), counts]),
            process_group,
            is_total=self.is_total,
        )
        total = PairMoments(self.feature_shape, device=self.sums.device)
        total.sums, total.norm_change = summed[:-2].reshape(self.sums.shape), summed[-2]
        total.num_pairs, total.is_total = int(summed[-1]), True
        return total

    @property
    def before(self) -> Float[Tensor, "p p"]:
        """Q: f with itself, a mean over pairs."""
        return self._mean(0)

    @property
    def cross(self) -> Float[Tensor, "p p"]:
        """C: T f with f, a mean over pairs."""
        return self._mean(1)

    @property
    def after(self) -> Float[Tensor, "p p"]:
        """S: T f with itself, a mean over pairs."""
        return self._mean(2)

    @property
    def norm_error(self) -> float:
        """How far T is from keeping norms: the root mean square of `||T f|| - ||f||`, relative to that of `||f||`.

        Raises:
            ValueError: If there are no pairs yet, or every f is zero.
        """
        energy = float(self.before.trace())
        if not energy:
            raise ValueError("PairMoments.norm_error expects an f that is not zero: norms are compared with its own.")
        return math.sqrt(float(self.norm_change) / self.num_pairs / energy)

    def residual(self, matrix: Float[Tensor, "p p"]) -> float:
        """The part of T f that a matrix M leaves unexplained: `||T f - M f|| / ||T f||` over all pairs.

        Values under about 1e-7 are rounding.
        """
        squared = self.after.trace() - 2 * (matrix * self.cross).sum() + (matrix @ self.before * matrix).sum()
        return math.sqrt(max(float(squared / self.after.trace()), 0.0))

    def _mean(self, slot: int) -> Float[Tensor, "p p"]:
        if not self.num_pairs:
            raise ValueError("PairMoments hold no pairs yet: call update with a batch first.")
        return self.sums[slot] / self.num_pairs


@without_autocast
def measure_pairs(pairs: Pairs | PairMoments) -> PairMoments:
    """Measure the second moments of pairs in one pass, where the first batch lives.

    Args:
        pairs: One batch (f, T f), or any iterable of batches; moments come back as they are.

    Returns:
        The moments.

    Raises:
        TypeError: If a batch is not a pair of tensors.
        ValueError: If there is no pair at all, or every f or every T f is zero.
    """
    moments = pairs if isinstance(pairs, PairMoments) else None
    batches: Iterable[object] = () if isinstance(pairs, PairMoments) else [pairs] if _is_batch(pairs) else pairs
    for batch in batches:
        if not _is_batch(batch):
            raise TypeError(
                f"measure_pairs expects pairs (f, T f) of tensors, got {type(batch).__name__}. Pass one tuple of two "
                "tensors of shape (n, ...features), or an iterable of such tuples."
            )
        before, after = batch
        moments = moments or PairMoments(tuple(before.shape[1:]), device=before.device)
        moments.update(before, after)
    if moments is None or not moments.num_pairs:
        raise ValueError("measure_pairs expects at least one pair (f, T f), got none.")
    if not float(moments.before.trace()) or not float(moments.after.trace()):
        raise ValueError("measure_pairs expects pairs that are not all zero. Nothing can be learned from them.")
    return moments


def _is_batch(candidate: object) -> TypeGuard[tuple[Tensor, Tensor]]:
    """Whether this is one pair of tensors."""
    return isinstance(candidate, tuple | list) and len(candidate) == 2 and all(isinstance(x, Tensor) for x in candidate)
