"""From coefficients to the filters of a plain convolution.

A group convolution is one `conv2d` from `C_in |G|` to `C_out |G|` channels. Its weight is made here, and nowhere else.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor


def expand_lifting(
    coefficients: Float[Tensor, "o i d"], atoms: Float[Tensor, "g d ky kx"]
) -> Float[Tensor, "og i ky kx"]:
    """Filters of a lifting layer: filter[o, g, i] = sum over d of coefficients[o, i, d] * atoms[g, d].

    Args:
        coefficients: Coefficients of every filter.
        atoms: Atoms at every group element.

    Returns:
        Weight for `conv2d`, output channels and group flattened in this order.
    """
    return torch.einsum("oid,gdyx->ogiyx", coefficients, atoms).flatten(0, 1)


def expand_group(
    coefficients: Float[Tensor, "o i m d"], atoms: Float[Tensor, "g d ky kx"], quotient: Int[Tensor, "g h"]
) -> Float[Tensor, "og ih ky kx"]:
    """Filters of a group layer: filter[o, g, i, h] = sum over d of coefficients[o, i, g^-1 h, d] * atoms[g, d].

    Args:
        coefficients: Coefficients of every filter, a function on the group.
        atoms: Atoms at every group element.
        quotient: Table of g^-1 h.

    Returns:
        Weight for `conv2d`, channels and group flattened in this order on both sides.
    """
    order, num_atoms = atoms.shape[:2]
    out_channels, in_channels = coefficients.shape[:2]
    # index_select rather than indexing: its gradient is added up in one order, so that training can be repeated.
    turned = coefficients.index_select(2, quotient.flatten()).unflatten(2, (order, order)).permute(2, 0, 1, 3, 4)
    filters = torch.bmm(turned.reshape(order, -1, num_atoms), atoms.flatten(2))
    filters = filters.reshape(order, out_channels, in_channels * order, *atoms.shape[2:])
    return filters.transpose(0, 1).flatten(0, 1)
