"""The fused product as a function with gradients."""

import ctypes
from collections.abc import Callable
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from orbitconv.nn.products.kernel.fused import (
    Options,
    correlate,
    gradient_of_coefficients,
    gradient_of_input,
    pack,
)
from orbitconv.nn.products.kernel.plain import is_plain
from orbitconv.nn.products.kernel.structure import Structure

Dense = Callable[[Tensor, Tensor, Tensor | None], Tensor]
"""The same product in operations of torch, of planes, coefficients and bias."""


def fused_conv(
    library: ctypes.CDLL,
    x: Float[Tensor, "b ih h w"],
    coefficients: Float[Tensor, "o i m d"],
    bias: Float[Tensor, " o"] | None,
    structure: Structure,
    options: Options,
    dense: Dense,
) -> Float[Tensor, "b og h2 w2"]:
    """What a group layer computes, with gradients.

    Args:
        library: The compiled functions.
        x: Input planes, channels and group flattened in this order; float32 on the CPU (`is_plain`).
        coefficients: Coefficients of every filter, a function on the group.
        bias: Bias of every output channel.
        structure: Structure of the basis.
        options: Stride and padding.
        dense: The same product in operations of torch, for gradients of gradients.

    Returns:
        Output planes.
    """
    return _FusedConv.apply(x, coefficients, bias, library, structure, options, dense)


class _FusedConv(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        coefficients: Tensor,
        bias: Tensor | None,
        library: ctypes.CDLL,
        structure: Structure,
        options: Options,
        dense: Dense,
    ) -> Tensor:
        ctx.save_for_backward(x, coefficients, bias)
        ctx.arguments = library, structure, options, dense
        bias = None if bias is None else bias.contiguous()
        return correlate(library, x, pack(library, coefficients, structure), structure, options, bias)

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor | None, ...]:
        (gradient,) = grad_outputs
        x, coefficients, bias = ctx.saved_tensors
        library, structure, options, dense = ctx.arguments
        for_x, for_coefficients, for_bias, *_ = ctx.needs_input_grad
        if torch.is_grad_enabled() or not is_plain(gradient):  # the gradient is to be differentiated once more
            return *gradients_by_autograd(dense, (x, coefficients, bias), ctx.needs_input_grad[:3], gradient), *[
                None
            ] * 4
        found_x = found_coefficients = found_bias = None
        if for_x:
            packed = pack(library, coefficients, structure, transposed=True)
            found_x = gradient_of_input(library, gradient, packed, structure, options, (x.shape[2], x.shape[3]))
        if for_coefficients:
            found_coefficients, found_bias = gradient_of_coefficients(
                library, x, gradient, structure, options, with_bias=for_bias
            )
        elif for_bias:
            found_bias = gradient.sum((0, 2, 3)).view(-1, structure.order).sum(1)
        return found_x, found_coefficients, found_bias, *[None] * 4


def gradients_by_autograd(
    dense: Dense, tensors: tuple[Tensor, Tensor, Tensor | None], wanted: tuple[bool, ...], gradient: Tensor
) -> list[Tensor | None]:
    """Gradients by another product, which can be differentiated again.

    Args:
        dense: The other product.
        tensors: Its arguments.
        wanted: Which of them need a gradient.
        gradient: Gradient of its result.

    Returns:
        The gradients; None for those that are not wanted.
    """
    again = torch.is_grad_enabled()
    with torch.enable_grad():
        y = dense(*tensors)
    inputs = [t for t, is_wanted in zip(tensors, wanted, strict=True) if is_wanted and t is not None]
    found = iter(torch.autograd.grad(y, inputs, gradient, create_graph=again))
    return [next(found) if is_wanted else None for is_wanted in wanted]
