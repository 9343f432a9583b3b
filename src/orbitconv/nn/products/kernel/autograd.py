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
from orbitconv.nn.products.kernel.small import (
    correlate_small,
    gradient_of_coefficients_small,
    gradient_of_input_small,
    is_small,
)
from orbitconv.nn.products.kernel.structure import Structure
from orbitconv.nn.products.recompute import no_autocast

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
    """What a group layer computes, with gradients, of float32 or bfloat16 planes on the CPU (`is_plain`).

    Sums are in float32. `dense` is the same product in operations of torch, for gradients of gradients.
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
        if is_small(x, coefficients, bias, structure):
            return correlate_small(library, x, coefficients, bias, structure, options)
        with no_autocast(x):
            numbers, shift = _in_single(coefficients, bias, structure)
            return correlate(library, x, pack(library, numbers, structure), structure, options, shift)

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor | None, ...]:
        (gradient,) = grad_outputs
        x, coefficients, bias = ctx.saved_tensors
        library, structure, options, dense = ctx.arguments
        for_x, for_coefficients, for_bias, *_ = ctx.needs_input_grad
        again = torch.is_grad_enabled()  # the gradient is to be differentiated once more
        if again or not is_plain(gradient, dtypes=(x.dtype,)):
            found = gradients_by_autograd(dense, (x, coefficients, bias), ctx.needs_input_grad[:3], gradient)
            return *found, *[None] * 4
        found_x = found_coefficients = found_bias = None
        if for_coefficients and gradient.numel() and is_small(x, coefficients, bias, structure):
            if for_x:
                size = x.shape[2], x.shape[3]
                found_x = gradient_of_input_small(library, gradient, coefficients, structure, options, size)
            found_coefficients, found_bias = gradient_of_coefficients_small(
                library, x, gradient, coefficients.shape, structure, options, with_bias=for_bias
            )
            return found_x, found_coefficients, found_bias, *[None] * 4
        with no_autocast(x):
            if for_x:
                numbers, _ = _in_single(coefficients, None, structure)
                packed = pack(library, numbers, structure, transposed=True)
                found_x = gradient_of_input(library, gradient, packed, structure, options, (x.shape[2], x.shape[3]))
            if for_coefficients:
                found_coefficients, found_bias = gradient_of_coefficients(
                    library, x, gradient, structure, options, with_bias=for_bias
                )
                if structure.cosets is not None:
                    found_coefficients = structure.cosets.gather(found_coefficients)
                found_coefficients = found_coefficients.to(coefficients.dtype)
            elif for_bias:
                found_bias = gradient.sum((0, 2, 3), dtype=torch.float32).view(-1, structure.order).sum(1)
            if found_bias is not None:
                found_bias = found_bias.view(-1, structure.copies).sum(1).to(bias.dtype)
        return found_x, found_coefficients, found_bias, *[None] * 4


def _in_single(coefficients: Tensor, bias: Tensor | None, structure: Structure) -> tuple[Tensor, Tensor | None]:
    """Coefficients and bias as the compiled functions take them: float32, of a layer on rotations."""
    bias = None if bias is None else bias.detach().float().repeat_interleave(structure.copies).contiguous()
    return structure.spread(coefficients.detach().float()), bias


def gradients_by_autograd(
    dense: Dense, tensors: tuple[Tensor, Tensor, Tensor | None], wanted: tuple[bool, ...], gradient: Tensor
) -> list[Tensor | None]:
    """Gradients by another product, which can be differentiated again."""
    again = torch.is_grad_enabled()
    with torch.enable_grad():
        y = dense(*tensors)
    inputs = [t for t, is_wanted in zip(tensors, wanted, strict=True) if is_wanted and t is not None]
    found = iter(torch.autograd.grad(y, inputs, gradient, create_graph=again))
    return [next(found) if is_wanted else None for is_wanted in wanted]
