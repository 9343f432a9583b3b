"""Before a subject is timed, its values are compared with a float64 reference."""

import torch
from jaxtyping import Float
from torch import Tensor

from orbitconv.groups import Group


def naive_weight(
    coefficients: Float[Tensor, "o i m d"], atoms: Float[Tensor, "g d ky kx"], group: Group
) -> Float[Tensor, "og ih ky kx"]:
    """The weight of a group layer by its definition, one block for each pair of elements."""
    rows = []
    for g in range(group.order):
        blocks: list[Tensor] = [coefficients] * group.order
        for m in range(group.order):
            blocks[int(group.product[g, m])] = torch.einsum("oid,dyx->oiyx", coefficients[:, :, m], atoms[g])
        rows.append(torch.stack(blocks, dim=2))
    return torch.stack(rows, dim=1).flatten(2, 3).flatten(0, 1)


def naive_separable_weight(
    spatial: Float[Tensor, "i 1 d"], mixing: Float[Tensor, "o i m 1"], atoms: Float[Tensor, "g d ky kx"], group: Group
) -> Float[Tensor, "og ih ky kx"]:
    """The weight of the group convolution that a separable layer is, by its definition."""
    numbers = naive_weight(mixing, atoms.new_ones(group.order, 1, 1, 1), group)
    return numbers * torch.einsum("id,hdyx->ihyx", spatial[:, 0], atoms).flatten(0, 1)


def solve_coefficients(
    weight: Float[Tensor, "og ih ky kx"], atoms: Float[Tensor, "g d ky kx"]
) -> Float[Tensor, "o i m d"]:
    """The coefficients of a group layer, solved from its filters at the identity."""
    order = len(atoms)
    upright = weight.unflatten(0, (-1, order))[:, 0].unflatten(1, (-1, order))
    solution = torch.linalg.lstsq(atoms[0].flatten(1).T, upright.flatten(3).flatten(0, 2).T).solution
    return solution.T.unflatten(0, upright.shape[:3])


def relative_error(values: Tensor, reference: Tensor) -> float:
    """Relative distance of values from a reference."""
    error = ((values.double() - reference).norm() / reference.norm()).item()
    return min(float("inf"), error)  # also where it is not a number


def tolerance(dtype: torch.dtype, device: torch.device) -> float:
    """The largest relative error that rounding may cause in a convolution."""
    if device.type == "cuda" and dtype == torch.float32 and torch.backends.cudnn.allow_tf32:
        return 8 * 2.0**-10
    return torch.finfo(dtype).eps * (32 if dtype in {torch.float32, torch.float64} else 8)


def check_error(name: str, error: float, allowed: float) -> None:
    """Refuse to time a subject with wrong values."""
    if not error <= allowed:
        raise ArithmeticError(
            f"{name} is wrong: it differs from the float64 reference by {error:.2g}, allowed {allowed:.2g}. It was "
            "not timed."
        )
