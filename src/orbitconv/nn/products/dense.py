"""From coefficients to the filters of a plain convolution.

A group convolution is one `conv2d` from `C_in |G|` to `C_out |G|` channels. Its weight is made here, and nowhere else,
in two steps: coefficients are laid out as every element turns them (`turning`), then one batched matrix
product with the atoms writes the weight in its final layout. The gradient takes the two steps back. Where the weight is
so small that calls cost more than numbers, a single product with a table of the atoms at every place takes their place.
A kernel, where one was built (`kernel`), does all of it in one go, but for weights that are channels last.
"""

import inspect
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd import forward_ad

from orbitconv.nn.products.kernel.ops import expand, is_usable, take_back
from orbitconv.nn.products.recompute import is_recorded, no_autocast
from orbitconv.nn.products.turning import Turning, copy_windows, sum_windows

_SMALL_TABLE, _SMALL_PRODUCT = 100_000, 8_000_000
"""Largest table, in numbers, and product with it, in multiply-adds, that are faster than the two steps on a CPU."""


def expand_lifting(
    coefficients: Float[Tensor, "o i d"], atoms: Float[Tensor, "g d ky kx"]
) -> Float[Tensor, "og i ky kx"]:
    """Filters of a lifting layer: filter[o, g, i] = sum over d of coefficients[o, i, d] * atoms[g, d]."""
    return torch.einsum("oid,gdyx->ogiyx", coefficients, atoms).flatten(0, 1)


def expand_group(
    coefficients: Float[Tensor, "o i m d"],
    atoms: Float[Tensor, "g d ky kx"],
    turning: Turning,
    channels_last: bool = False,
) -> Float[Tensor, "og ih ky kx"]:
    """Filters of a group layer: filter[o, g, i, h] = sum over d of coefficients[o, i, g^-1 h, d] * atoms[g, d].

    Channels last is the layout for inputs that are.
    """
    # A compiler finds its own shortcuts, and derives the gradient by itself; a trace holds operations of torch only.
    if is_recorded():
        return _expand(coefficients, atoms, turning, channels_last)
    has_kernel = not channels_last and is_usable(coefficients, atoms)
    if not has_kernel and _is_small(coefficients, atoms):
        return _expand_by_table(coefficients, atoms, turning, channels_last)
    learns = torch.is_grad_enabled() and (coefficients.requires_grad or atoms.requires_grad)
    if learns or has_kernel:  # of which torch knows no derivative, also where it looks forward
        return _Expand.apply(coefficients, atoms, turning, channels_last)
    return _expand(coefficients, atoms, turning, channels_last)


def _expand(
    coefficients: Float[Tensor, "o i m d"], atoms: Float[Tensor, "g d ky kx"], turning: Turning, channels_last: bool
) -> Float[Tensor, "og ih ky kx"]:
    turned, matrices = _rows(coefficients, turning), _matrices(atoms, len(coefficients))
    planes, inputs = turned.shape[:2]
    if channels_last:
        return torch.bmm(matrices.mT, turned.mT).view(planes, *atoms.shape[2:], inputs).permute(0, 3, 1, 2)
    return torch.bmm(turned, matrices).view(planes, inputs, *atoms.shape[2:])


def _is_small(coefficients: Float[Tensor, "o i m d"], atoms: Float[Tensor, "g d ky kx"]) -> bool:
    """Whether one product with a table is the faster way."""
    table = len(atoms) ** 2 * atoms.numel()
    return (
        coefficients.device.type == "cpu"
        and table <= _SMALL_TABLE
        and coefficients.shape[0] * coefficients.shape[1] * table <= _SMALL_PRODUCT
    )


def _expand_by_table(
    coefficients: Float[Tensor, "o i m d"], atoms: Float[Tensor, "g d ky kx"], turning: Turning, channels_last: bool
) -> Float[Tensor, "og ih ky kx"]:
    """One product for all elements: table[m, d, g, h] = atoms[g, d] where m = g^-1 h, and zeros elsewhere.

    Autograd takes it back, which is quicker than a function of our own; inside autocast it does so in 16 bits, to which
    the gradient of the weight has been rounded there before.
    """
    (out_channels, in_channels, order, num_atoms), kernel = coefficients.shape, atoms.shape[2:]
    flat, places = atoms.flatten(2).transpose(0, 1).contiguous(), turning.selection.to(atoms.dtype)
    rows = coefficients.reshape(out_channels * in_channels, order * num_atoms)
    if channels_last:
        table = places[:, None, :, None, :] * flat[..., None]
        filters = (rows @ table.reshape(order * num_atoms, -1)).view(out_channels, in_channels, order, -1, order)
        planes = filters.permute(0, 2, 3, 1, 4).reshape(out_channels * order, *kernel, in_channels * order)
        return planes.permute(0, 3, 1, 2)
    table = places[:, None, :, :, None] * flat[:, :, None]
    filters = (rows @ table.reshape(order * num_atoms, -1)).view(out_channels, in_channels, order, -1)
    return filters.transpose(1, 2).reshape(out_channels * order, in_channels * order, *kernel)


def _rows(coefficients: Float[Tensor, "o i m d"], turning: Turning) -> Float[Tensor, "og ih d"]:
    """Every turned copy of the coefficients, as a matrix for each output plane."""
    out_channels, in_channels, order, num_atoms = coefficients.shape
    return copy_windows(coefficients, turning).view(out_channels * order, in_channels * order, num_atoms)


def _matrices(atoms: Float[Tensor, "g d ky kx"], out_channels: int) -> Float[Tensor, "og d y"]:
    """The atoms as a matrix for each output plane, so that the product has the order of the weight."""
    return atoms.flatten(2).repeat(out_channels, 1, 1)


def _take_back(
    gradient: Float[Tensor, "og ih ky kx"],
    coefficients: Float[Tensor, "o i m d"],
    atoms: Float[Tensor, "g d ky kx"],
    ctx: Any,
) -> tuple[Float[Tensor, "o i m d"] | None, Float[Tensor, "g d ky kx"] | None]:
    """Gradients of coefficients and atoms, where they are wanted."""
    planes = gradient.flatten(2)  # a view, also if it is channels last
    out_channels, order = len(coefficients), len(atoms)
    for_coefficients = for_atoms = None
    if ctx.needs_input_grad[0] and gradient.is_contiguous() and is_usable(gradient, atoms) and not _is_dual(gradient):
        for_coefficients = take_back(gradient, atoms, ctx.turning.target)
    elif ctx.needs_input_grad[0]:
        rows = torch.bmm(planes, _matrices(atoms, out_channels).mT)
        turned = rows.view(out_channels, order, -1, coefficients.shape[2], rows.shape[-1])
        for_coefficients = sum_windows(turned, ctx.turning)
    if ctx.needs_input_grad[1]:
        product = torch.bmm(_rows(coefficients, ctx.turning).mT, planes)
        for_atoms = product.unflatten(0, (out_channels, order)).sum(0).view_as(atoms)
    return for_coefficients, for_atoms


def _is_dual(tensor: Tensor) -> bool:
    """Whether torch takes a forward-mode derivative along a tensor, of which the kernel knows nothing."""
    return forward_ad.unpack_dual(tensor).tangent is not None


class _Expand(torch.autograd.Function):
    """`_expand`, whose gradient by autograd would fill a strip of zeros for every window."""

    generate_vmap_rule = True

    @staticmethod
    def forward(coefficients: Tensor, atoms: Tensor, turning: Turning, channels_last: bool) -> Tensor:
        if not channels_last and is_usable(coefficients, atoms):
            return expand(coefficients, atoms, turning.source)
        return _expand(coefficients, atoms, turning, channels_last)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:  # noqa: ARG004
        coefficients, atoms, ctx.turning, ctx.channels_last = inputs
        ctx.save_for_backward(coefficients, atoms)
        ctx.save_for_forward(coefficients, atoms)

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor | None, ...]:
        coefficients, atoms = ctx.saved_tensors
        if torch.is_grad_enabled():  # the gradient is to be differentiated once more
            _, pull, *_ = torch.func.vjp(lambda c, a: _expand(c, a, ctx.turning, False), coefficients, atoms)
            return *pull(grad_outputs[0]), None, None
        with no_autocast(atoms):
            return *_take_back(grad_outputs[0], coefficients, atoms, ctx), None, None

    @staticmethod
    def jvp(ctx: Any, *grad_inputs: Any) -> Tensor:
        (coefficients, atoms), tangents = ctx.saved_tensors, grad_inputs[:2]
        options = ctx.turning, ctx.channels_last
        along = [_Expand.apply(tangents[0], atoms, *options)] if tangents[0] is not None else []
        along += [_Expand.apply(coefficients, tangents[1], *options)] if tangents[1] is not None else []
        return along[0] if len(along) == 1 else along[0] + along[1]


# torch looks the signature up at every call; finding it there is quicker than working it out.
_Expand.forward.__signature__ = inspect.signature(_Expand.forward)  # pyright: ignore[reportFunctionMemberAccess]
