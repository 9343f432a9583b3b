"""The nearest commuting matrices whose powers are exactly the identity: signed permutations, or rounded eigenvalues."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Complex, Float
from torch import Tensor

from orbitconv.learn.chains import join_chains
from orbitconv.learn.walk import complete_by_walking

# Relative distance to a permutation that needs no noise to explain it.
_CLEAN = 1e-3

# Share of the determined directions that must be single features moved to single features. Features that light up
# together only, as rarely lit corners may, are not told apart by data.
_CLEAR = 0.9

# Squared distance of eigenvalues that are the same; steps at most, and relative gain of the last one worth taking.
_SAME_ROOT, _MOST_STEPS, _SETTLED = 1e-12, 20, 1e-12


def round_to_permutations(
    matrices: Sequence[Float[Tensor, "p p"]], orders: Sequence[int], noise: Sequence[float]
) -> tuple[list[Float[Tensor, "p p"]], Float[Tensor, " p"] | None] | None:
    """Find the signed permutations of features that hide in learned matrices, partial isometries but for noise.

    Entries that are the largest of their row and column become 1 or -1; where some directions are lost, the chains of
    these entries are joined or, where no data excite some features, the gaps are filled (`complete_by_walking`). An
    answer that commutes and has exactly the orders asked for is no accident. `noise` is how far each matrix may be from
    a permutation at the features that single features are moved to, `||...||_F / sqrt(P)`; one that closes as it is
    must not be moved: a small rotation is not a noisy identity.

    Returns the permutations, and the one feature that none of them moves another to, if there is one; or None.
    """
    partials = []
    for matrix, allowed in zip(matrices, noise, strict=True):
        size, rank = len(matrix), round(float(matrix.square().sum()))
        sizes = matrix.abs()
        largest = (sizes == sizes.amax(0)) & (sizes == sizes.amax(1, keepdim=True)) & (sizes > 0.5)
        partial = torch.where(largest, matrix.sign(), 0)
        off = (matrix - partial @ matrix.T @ matrix)[largest.any(1)]  # where it tells what comes to a feature
        if int(largest.sum()) < _CLEAR * rank or float(off.norm()) / math.sqrt(size) > max(allowed, _CLEAN):
            return None
        partials.append(partial)
    joined = [join_chains(partial, order) for partial, order in zip(partials, orders, strict=True)]
    closes = all(_order(matrix, order) == order for matrix, order in zip(joined, orders, strict=True))
    if closes and all(torch.equal(a @ b, b @ a) for i, a in enumerate(joined) for b in joined[:i]):
        unreached = ~torch.stack(partials).any(2).any(0)
        return joined, unreached.to(joined[0]) if int(unreached.sum()) == 1 else None
    return complete_by_walking(partials, orders)


def _order(permutation: Tensor, at_most: int) -> int | None:
    """Least power of a signed permutation that is the identity."""
    one = torch.arange(1, len(permutation) + 1, dtype=permutation.dtype, device=permutation.device)
    moved = one
    for power in range(1, at_most + 1):
        moved = permutation @ moved
        if torch.equal(moved, one):
            return power
    return None


@dataclass(frozen=True)
class _Space:
    """A joint eigenspace: orthonormal columns, real if it is its own conjugate, else half of a conjugate pair."""

    columns: Tensor
    phases: tuple[int, ...] = ()

    @property
    def is_real(self) -> bool:
        return not self.columns.is_complex()


def round_to_roots(matrices: Sequence[Float[Tensor, "p p"]], orders: Sequence[int]) -> list[Float[Tensor, "p p"]]:
    """Diagonalise nearly commuting orthogonal matrices together and round their eigenvalues to roots of unity.

    Each matrix is diagonalised inside the joint eigenspaces of those before it, which fixes the eigenvalues, of the
    form `exp(2 pi i k / N)`. Of a conjugate pair of spaces one is kept, so that the results are real. The eigenspaces
    are then turned until the results are as near to all matrices as they can be (`_turn_to_nearest`). The results
    commute, with `M^N = 1`, to machine precision.
    """
    spaces = [_Space(torch.eye(len(matrices[0]), dtype=matrices[0].dtype, device=matrices[0].device))]
    for matrix, order in zip(matrices, orders, strict=True):
        spaces = [part for space in spaces for part in _split(space, matrix, order)]
    columns, phases = [], []
    for space in spaces:
        for V, sign in ((space.columns, 1), (space.columns.conj(), -1))[: 1 if space.is_real else 2]:
            columns.append(V.to(torch.complex128))
            phases += [[sign * k / order for k, order in zip(space.phases, orders, strict=True)]] * V.shape[1]
    V = torch.cat(columns, dim=1)
    turns = torch.tensor(phases, dtype=torch.float64, device=V.device).T
    roots = torch.polar(torch.ones_like(turns), 2 * math.pi * turns)
    return _turn_to_nearest(matrices, V, roots)


def _turn_to_nearest(
    matrices: Sequence[Tensor], V: Complex[Tensor, "p p"], roots: Complex[Tensor, "k p"]
) -> list[Tensor]:
    """Turn joint eigenvectors until `M_k = V diag(roots_k) V^H` have the least `sum of ||A_k - M_k||^2`.

    With `E_k = V^H A_k V - diag(roots_k)`, Gauss-Newton steps `V exp(X)` in closed form: X is the anti-Hermitian matrix
    for which `E_k` is nearest to `X diag(roots_k) - diag(roots_k) X`, entry by entry. exp is Cayley's, which is unitary
    too. A step that brings nothing ends it. Complex columns of V come in conjugate pairs, as their roots do.
    """
    one = torch.eye(len(V), dtype=V.dtype, device=V.device)
    apart = roots[:, None, :] - roots[:, :, None]
    weight = apart.abs().square().sum(0)
    weight = torch.where(weight > _SAME_ROOT, weight, torch.inf)
    nearest = [((V * root) @ V.mH).real for root in roots]
    distance = sum(float((A - M).square().sum()) for A, M in zip(matrices, nearest, strict=True))
    for _ in range(_MOST_STEPS):
        step = sum((apart[k].conj() * (V.mH @ A.to(V) @ V)) for k, A in enumerate(matrices)) / weight
        step = (step - step.mH) / 4
        V = V @ torch.linalg.solve(one - step, one + step)
        turned = [((V * root) @ V.mH).real for root in roots]
        left = sum(float((A - M).square().sum()) for A, M in zip(matrices, turned, strict=True))
        if left >= distance:
            break
        nearest, gained, distance = turned, distance - left, left
        if gained < _SETTLED * distance:
            break
    return nearest


def _split(space: _Space, matrix: Tensor, order: int) -> list[_Space]:
    """Eigenspaces of a matrix inside a space, by cosine first, by sine then."""
    V = space.columns
    block = V.mH @ matrix.to(V.dtype) @ V
    cosines, W = torch.linalg.eigh((block + block.mH) / 2)
    steps = torch.round(torch.acos(cosines.clamp(-1, 1)) * order / (2 * math.pi)).long()
    steps = steps.clamp(max=order // 2)
    parts = []
    for k in steps.unique().tolist():
        inside = W[:, steps == k]
        columns = V @ inside
        if k in {0, order / 2}:
            parts.append(_Space(columns, (*space.phases, k)))
            continue
        inner = inside.mH @ block @ inside
        sines, Z = torch.linalg.eigh((inner - inner.mH).to(_complex(V.dtype)) / 2j)
        columns = columns.to(Z.dtype)
        if space.is_real:  # sines come in pairs; one without a partner is an eigenvector for 1 or -1
            half = len(sines) // 2
            parts.append(_Space(columns @ Z[:, len(sines) - half :], (*space.phases, k)))
            if len(sines) % 2:
                lone = Z[:, half]
                lone = (lone / lone[lone.abs().argmax()].sgn()).real
                real = (V @ inside @ lone[:, None]) / lone.norm()
                parts.append(_Space(real, (*space.phases, 0 if 4 * k < order or order % 2 else order // 2)))
        else:
            parts.append(_Space(columns @ Z[:, sines >= 0], (*space.phases, k)))
            parts.append(_Space(columns @ Z[:, sines < 0], (*space.phases, order - k)))
    return [part for part in parts if part.columns.shape[1]]


def _complex(dtype: torch.dtype) -> torch.dtype:
    return dtype if dtype.is_complex else torch.complex128
