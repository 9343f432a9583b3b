"""From learned actions to an exact group: generators that commute, and come back to the identity after their order.

Nothing here knows about pixels: the answer for mixed-up features is the mixed-up answer.
"""

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import torch
from jaxtyping import Float
from torch import Tensor

from orbitconv._support.checks import check_finite, check_positive
from orbitconv._support.precision import without_autocast
from orbitconv.learn.action import LearnedAction
from orbitconv.learn.chains import join_chains, open_directions
from orbitconv.learn.polar import partial_isometry
from orbitconv.learn.roots import round_to_permutations, round_to_roots

# Two random rotations of a high-dimensional space have a commutator of 1.4.
_COMMUTES = 1.0

# Where data leave gaps, they tell the directions beside these worse than most: how much worse, and how far at most.
_WEAK, _FAR = 5.0, 0.5

# Random rotations close with an error of 1.4, whatever the order; and a power that is the identity but for rounding.
_CLOSES, _IDENTITY = 0.5, 1e-6


@final
@dataclass(frozen=True, eq=False, kw_only=True)
class ClosedGroup:
    """Commuting orthogonal matrices `M_k` with `M_k^orders[k] = 1`: a product of cyclic groups that acts on features.

    Args:
        generators: The matrices, float64.
        orders: Order of each.
        origin: The one unit vector that no generator produced before it was closed (for shifts with zero fill, the
            pixel in the first row and column), whose orbit is the natural layout. Where features are never excited,
            it is chosen so that they surround the others. None if there is none, as for cyclic shifts, or several.
        is_permutation: Whether the generators are signed permutations of the features; they then close exactly.
        commutator_error: Largest `||A B - B A||_F / sqrt(P)` of two generators as they came.
        closure_errors: `||M^order - 1||_F / sqrt(P)` of each, as it came but for the ends of its chains joined;
            infinite if that left gaps, which rounding to permutations then closed. It says how far each is from having
            the order asked for: 1.4 for random rotations.
        changes: How far closing moved each, `||M_closed - M||_F / ||M||_F` where M was determined.
    """

    generators: Float[Tensor, "k p p"]
    orders: tuple[int, ...]
    origin: Float[Tensor, " p"] | None
    is_permutation: bool
    commutator_error: float
    closure_errors: tuple[float, ...]
    changes: tuple[float, ...]

    def element(self, *powers: int) -> Float[Tensor, "p p"]:
        """The matrix of one group element: `M_1^powers[0] M_2^powers[1] ...`, of any integers.

        Raises:
            ValueError: If there is not one power for each generator.
        """
        if len(powers) != len(self.orders):
            raise ValueError(f"This group has {len(self.orders)} generators of orders {self.orders}, got {powers}.")
        matrix = torch.eye(self.generators.shape[-1], dtype=torch.float64, device=self.generators.device)
        for generator, power, order in zip(self.generators, powers, self.orders, strict=True):
            matrix = matrix @ torch.linalg.matrix_power(generator, power % order)
        return matrix


@without_autocast
def close_group(
    actions: Sequence[LearnedAction | Float[Tensor, "p p"]], orders: Sequence[int], *, tolerance: float = 0.1
) -> ClosedGroup:
    """Make learned actions commute and close exactly.

    1. Chains are joined. A transformation that loses directions (shifts with zero fill) is a partial isometry T: what
       it never produces starts a chain `v, T v, ..., T^(N-1) v` that ends in what it loses. Sending the end to the
       start again, `M = T + (T^T)^(N-1)`, gives `M^N = 1`.
    2. If signed permutations that commute and have exactly these orders are as near as the noise lets one expect, the
       matrices are rounded to them. Features that no data excite then fill the gaps in the group's grid. The noise is
       what keeps the matrices from commuting and closing; where there are gaps that cannot be told, and it is a few
       times `LearnedAction.uncertainty`.
    3. Otherwise they are diagonalised together, as real matrices, and their eigenvalues are rounded to roots of unity.

    Args:
        actions: What was learned, with `unitary=True`; or square matrices, of which no noise is known.
        orders: Order N of each: the least power that is the identity. Where a matrix is not near one of this order, or
            comes back earlier, there is a warning.
        tolerance: A change of a generator by more than this is warned about, unless the noise of its pairs explains it.

    Returns:
        The group.

    Raises:
        TypeError: If an action is neither a learned one nor a tensor.
        ValueError: If counts or shapes disagree, generators do not commute, or chains have other lengths than N.
    """
    given = [_matrix(action) for action in actions]
    noise = [action.uncertainty if isinstance(action, LearnedAction) else 0.0 for action in actions]
    orders = tuple(orders)
    _check(given, actions, orders)
    size = len(given[0])
    given = [partial_isometry(matrix) for matrix in given]
    commutator = max(
        (_norm(a @ b - b @ a) / math.sqrt(size) for i, a in enumerate(given) for b in given[:i]), default=0.0
    )
    if commutator > _COMMUTES:
        raise ValueError(
            f"close_group expects generators that commute, got a relative commutator of {commutator:.2f} (0 if they "
            "do, 1.4 for random rotations). Turns do not commute with shifts or mirrors: close them apart."
        )
    joined = [join_chains(T, order) for T, order in zip(given, orders, strict=True)]
    left_open = [open_directions(M) for M in joined]
    closure = tuple(
        math.inf if gaps else _closure_error(M, order) for M, order, gaps in zip(joined, orders, left_open, strict=True)
    )
    seen = [max(commutator, *closure)] * len(given)
    if any(left_open):
        seen = [min(_WEAK * doubt, _FAR) for doubt in noise]
    rounded = round_to_permutations(given, orders, seen)
    if rounded is None:
        for k, gaps in enumerate(left_open):
            if gaps:
                raise ValueError(
                    f"close_group could not close generator {k} with order {orders[k]}: it is determined on "
                    f"{round(_norm(given[k]) ** 2)} of {size} directions, and {gaps} directions are left open once the "
                    f"ends of the chains v, T v, ..., T^{orders[k] - 1} v are joined. Draw pairs that excite every "
                    "direction (for shifts: shift the images at random first, farther or more of them), check the "
                    "order, or learn the action with a prior."
                )
        closed, origin = round_to_roots([partial_isometry(M) for M in joined], orders), _origin(given)
    else:
        closed, origin = rounded
    changes = tuple(_norm(M @ T.T @ T - T) / _norm(T) for T, M in zip(given, closed, strict=True))
    doubts = []
    if any(change > max(tolerance, doubt) for change, doubt in zip(changes, noise, strict=True)):
        doubts.append(
            f"close_group had to change the generators by {', '.join(f'{c:.1%}' for c in changes)} to make them "
            f"commute and close with orders {orders}: they had a commutator of {commutator:.2g} and closed up to "
            f"{', '.join(f'{c:.2g}' for c in closure)}. Check the orders, or learn the actions from more pairs."
        )
    if rounded is None:  # permutations are rounded to where they have these orders alone
        doubts += _doubtful_orders(closed, orders, closure)
    if doubts:
        warnings.warn(" ".join(doubts), stacklevel=2)
    return ClosedGroup(
        generators=torch.stack(closed),
        orders=orders,
        origin=origin,
        is_permutation=rounded is not None,
        commutator_error=commutator,
        closure_errors=closure,
        changes=changes,
    )


def _matrix(action: LearnedAction | Tensor) -> Tensor:
    """The matrix of an action, in float64."""
    if isinstance(action, LearnedAction):
        return action.matrix
    if not isinstance(action, Tensor) or action.is_complex():
        kind = f"a tensor of {action.dtype}" if isinstance(action, Tensor) else type(action).__name__
        raise TypeError(
            f"close_group expects learned actions or square matrices of real numbers, got {kind}. Turn lists and "
            "arrays into matrices with torch.as_tensor."
        )
    return action.detach().double()


def _doubtful_orders(closed: list[Tensor], orders: tuple[int, ...], closure: tuple[float, ...]) -> list[str]:
    """What to say of orders that are not those of the generators: any matrix is near one of a large order."""
    words = []
    for k, (matrix, order, error) in enumerate(zip(closed, orders, closure, strict=True)):
        divisors = [order // d for d in range(order, 1, -1) if order % d == 0]
        if error > _CLOSES:
            words.append(
                f"The order {order} of generator {k} is none that close_group can see: its power {order} is "
                f"{error:.2g} away from the identity (random rotations: 1.4). For large orders even those are near a "
                "matrix that closes, so that a small change says nothing."
            )
        elif least := next((d for d in divisors if _closure_error(matrix, d) < _IDENTITY), None):
            words.append(
                f"The order of generator {k} is {least}, not the {order} that close_group was asked for: it is the "
                "least power that is the identity."
            )
    return words


def _check(matrices: list[Tensor], actions: Sequence[LearnedAction | Tensor], orders: tuple[int, ...]) -> None:
    """Refuse what cannot generate a group."""
    if not matrices or len(matrices) != len(orders):
        raise ValueError(f"close_group expects one order for each action, got {len(matrices)} and {len(orders)}.")
    check_positive("close_group", **{f"orders[{k}]": order for k, order in enumerate(orders)})
    shapes = {tuple(matrix.shape) for matrix in matrices}
    if len(shapes) > 1 or any(len(shape) != 2 or shape[0] != shape[1] for shape in shapes):
        raise ValueError(f"close_group expects square matrices of one size, got {sorted(shapes)}.")
    for matrix, action in zip(matrices, actions, strict=True):
        check_finite("close_group", "actions", matrix)
        if isinstance(action, LearnedAction) and not action.unitary:
            raise ValueError(
                "close_group expects actions that keep norms, got one learned with unitary=False. No power of it need "
                "be the identity; learn it with unitary=True."
            )


def _closure_error(matrix: Tensor, order: int) -> float:
    power = torch.linalg.matrix_power(matrix, order)
    return _norm(power - torch.eye(len(matrix), dtype=matrix.dtype, device=matrix.device)) / math.sqrt(len(matrix))


def _origin(given: list[Tensor]) -> Tensor | None:
    """The one direction that no generator produces."""
    values, vectors = torch.linalg.eigh(torch.stack([T @ T.T for T in given]).sum(0))
    if int((values < 0.25).sum()) != 1:
        return None
    return vectors[:, 0] * vectors[:, 0].sum().sign()


def _norm(matrix: Tensor) -> float:
    return float(torch.linalg.matrix_norm(matrix))
