"""GrouPy's p4 and p4m filters as layers here, and back.

GrouPy's filters are arrays w of shape (out, in, s, k, k): s is 1 on the plane, 4 for p4, 8 for p4m. Its element 4 m + r
is the matrix `diag(-1, 1)^m R(r)` on (row, column): r quarter turns counter-clockwise as displayed, and then, where m
is 1, a mirror that swaps top and bottom. Ours mirror left to right first: `R(q) diag(1, -1)^m`. As
`diag(-1, 1) R(r) = R(-r) diag(-1, 1) = R(2 - r) diag(1, -1)`, its element 4 + r is our 4 + (2 - r) mod 4; the quarter
turns are the same. Its filter at element g reads from g^-1 h, as ours does. So the coefficients in a basis of pixels
are its filters, with elements in our order.
"""

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from orbitconv._support.checks import Size2
from orbitconv.bases import ExactBasis
from orbitconv.groups import Cyclic, Dihedral, Group
from orbitconv.nn import GroupConv2d, LiftingConv2d

_GROUPS: dict[str, Group] = {"p4": Cyclic(4), "p4m": Dihedral(4)}


def groupy_order(group: Group) -> Int[np.ndarray, " g"]:
    """Where each element of ours, of C4 (p4) or D4 (p4m), stands on GrouPy's axis.

    The same table leads the other way: it is its own inverse.
    """
    step, mirrors = group.rotation_steps, group.mirrors
    return np.where(mirrors, 4 + (2 - step) % 4, step)


def from_groupy(
    weight: Float[Tensor, "o i s k k"] | Float[np.ndarray, "o i s k k"],
    group: str,
    bias: Float[Tensor, " o"] | Float[np.ndarray, " o"] | None = None,
    *,
    stride: Size2 = 1,
    padding: Size2 = 0,
) -> LiftingConv2d | GroupConv2d:
    """A layer of GrouPy as a layer here: `P4ConvZ2`, `P4ConvP4`, `P4MConvZ2` and `P4MConvP4M`.

    Feature maps on p4 are the same here and there. On p4m the group axis is ordered otherwise: ours is
    `theirs[:, :, groupy_order(Dihedral(4))]`.

    Args:
        weight: Its filters, of shape (out_channels, in_channels, 1, 4 or 8, k, k).
        group: `"p4"` or `"p4m"`.
        bias: Its bias, if it has one.
        stride: Step of the output grid, in pixels.
        padding: Padding on every side, in pixels.

    Returns:
        A lifting layer for filters on the plane, a group layer for those on the group, with a basis of pixels.

    Raises:
        ValueError: If the group is unknown, or a shape does not fit it.

    Source: Cohen & Welling (2016), Group equivariant convolutional networks.
    """
    if group not in _GROUPS:
        raise ValueError(f"from_groupy expects the group 'p4' or 'p4m', got {group!r}.")
    ours, given = _GROUPS[group], torch.as_tensor(weight)
    shape = tuple(given.shape)
    if given.ndim != 5 or shape[2] not in {1, ours.order} or shape[3] != shape[4] or not given.numel():
        raise ValueError(
            f"from_groupy expects filters of {group} of shape (out, in, 1 or {ours.order}, k, k), got {shape}. In "
            "Chainer they are W, in PyTorch weight; those of TensorFlow, of shape (k, k, in * s, out), are transposed "
            "and reshaped first."
        )
    if bias is not None and tuple(torch.as_tensor(bias).shape) != shape[:1]:
        raise ValueError(f"from_groupy expects a bias of {shape[0]} numbers, got {tuple(torch.as_tensor(bias).shape)}.")
    lifts = shape[2] == 1
    layer = (LiftingConv2d if lifts else GroupConv2d)(
        shape[1], shape[0], ExactBasis(ours, shape[3]), stride, padding,
        bias=bias is not None, device=given.device, dtype=given.dtype,
    )  # fmt: skip
    with torch.no_grad():
        ordered = given[:, :, 0] if lifts else given[:, :, groupy_order(ours)]
        layer.coefficients.copy_(ordered.flatten(-2))
        if layer.bias is not None:
            layer.bias.copy_(torch.as_tensor(bias))
    return layer


def to_groupy(layer: LiftingConv2d | GroupConv2d) -> tuple[Float[Tensor, "o i s k k"], Float[Tensor, " o"] | None]:
    """The filters of a layer here in GrouPy's layout.

    Args:
        layer: A lifting or group layer with an ExactBasis of C4 or D4 and a square kernel.

    Returns:
        Filters of shape (out_channels, in_channels, 1, 4 or 8, k, k), and the bias, or None.

    Raises:
        TypeError: If the layer has another basis.
        ValueError: If its group is another one.
    """
    if not isinstance(layer, LiftingConv2d | GroupConv2d) or not isinstance(layer.basis, ExactBasis):
        basis = getattr(layer, "basis", layer)
        raise TypeError(f"to_groupy expects a lifting or group layer with an ExactBasis, got {type(basis).__name__}.")
    if layer.group not in _GROUPS.values() or not layer.basis.is_complete or layer.groups != 1:
        raise ValueError(f"to_groupy expects square kernels on C4 or D4 and groups=1, got {layer}.")
    pixels = layer.coefficients.detach().unflatten(-1, layer.kernel_size)
    filters = pixels[:, :, None] if pixels.ndim == 4 else pixels[:, :, groupy_order(layer.group)]
    return filters.clone(), None if layer.bias is None else layer.bias.detach().clone()
