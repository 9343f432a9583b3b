"""What forgets numbers after the forward pass and computes them again for the backward pass.

`conv2d` keeps its weight for the gradient of its input. For a layer on a group that weight is |G| K^2 / D times as
large as the coefficients that it is made of; expanding takes a small part of the time of the convolution.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

Expand = Callable[[Tensor, Tensor], Tensor]
"""From coefficients and atoms to the weight of `conv2d`."""
Options = tuple[tuple[int, int], tuple[int, int], tuple[int, int], int]
"""Stride, padding, dilation and groups, as `conv2d` takes them."""


def recomputed_conv2d(
    x: Float[Tensor, "b i h w"],
    coefficients: Float[Tensor, "o *m d"],
    atoms: Float[Tensor, "g d ky kx"],
    bias: Float[Tensor, " og"] | None,
    expand: Expand,
    options: Options,
) -> Float[Tensor, "b og h2 w2"]:
    """`conv2d(x, expand(coefficients, atoms), bias, *options)`, of which `x`, `coefficients` and `atoms` are kept.

    Values and gradients of every order are those of that expression, the convolution is not repeated, and `torch.func`
    goes through it, but for forward-mode derivatives. `expand` runs outside autocast, as in the dense layers, and must
    give the same weight each time.
    """
    device = "cpu" if x.is_meta else x.device.type  # torch knows no autocast on meta
    if torch.is_autocast_enabled(device):
        x = x.to(torch.get_autocast_dtype(device))
    bias = None if bias is None else bias.to(x.dtype)
    return _RecomputedConv2d.apply(x, coefficients, atoms, bias, expand, options)


class _RecomputedConv2d(torch.autograd.Function):
    generate_vmap_rule = True

    @staticmethod
    def forward(
        x: Tensor, coefficients: Tensor, atoms: Tensor, bias: Tensor | None, expand: Expand, options: Options
    ) -> Tensor:
        with no_autocast(x):
            weight = expand(coefficients, atoms).to(x.dtype)
            return F.conv2d(x, weight, bias, *options)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:  # noqa: ARG004
        x, coefficients, atoms, bias, ctx.expand, ctx.options = inputs
        ctx.save_for_backward(x, coefficients, atoms)
        ctx.bias_sizes = None if bias is None else list(bias.shape)

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor | None, ...]:
        (grad,) = grad_outputs
        x, coefficients, atoms = ctx.saved_tensors
        for_x, for_coefficients, for_atoms, for_bias, *_ = ctx.needs_input_grad
        stride, padding, dilation, groups = ctx.options

        def expand(coefficients: Tensor, atoms: Tensor = atoms) -> Tensor:
            return ctx.expand(coefficients, atoms).to(x.dtype)

        with no_autocast(x):
            made_of = (coefficients, atoms) if for_atoms else (coefficients,)  # constant atoms cost nothing
            weight, pull, *_ = torch.func.vjp(expand, *made_of)
            wanted = [for_x, for_coefficients or for_atoms, for_bias]
            grad_x, grad_weight, grad_bias = torch.ops.aten.convolution_backward(
                grad, x, weight, ctx.bias_sizes, stride, padding, dilation, False, [0, 0], groups, wanted
            )
            grad_coefficients, grad_atoms = (*pull(grad_weight), None)[:2] if wanted[1] else (None, None)
        return grad_x, grad_coefficients, grad_atoms, grad_bias, None, None


def recomputed(
    function: Callable[[Tensor, Tensor, Tensor], Tensor], x: Tensor, coefficients: Tensor, atoms: Tensor
) -> Tensor:
    """`function(x, coefficients, atoms)`, of which those three are kept, and which runs once more for the gradient."""
    return _Recomputed.apply(x, coefficients, atoms, function)


class _Recomputed(torch.autograd.Function):
    generate_vmap_rule = True

    @staticmethod
    def forward(
        x: Tensor, coefficients: Tensor, atoms: Tensor, function: Callable[[Tensor, Tensor, Tensor], Tensor]
    ) -> Tensor:
        return function(x, coefficients, atoms)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:  # noqa: ARG004
        *tensors, ctx.function = inputs
        ctx.save_for_backward(*tensors)
        ctx.save_for_forward(*tensors)

    @staticmethod
    def jvp(ctx: Any, *grad_inputs: Any) -> Tensor:
        tensors = list(ctx.saved_tensors)  # the function is linear in each of them
        along = [
            ctx.function(*tensors[:n], tangent, *tensors[n + 1 :])
            for n, tangent in enumerate(grad_inputs[:3])
            if tangent is not None
        ]
        return torch.stack(along).sum(0)

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor | None, ...]:
        tensors, wanted = ctx.saved_tensors, ctx.needs_input_grad[:3]

        def function(*leaves: Tensor) -> Tensor:
            given = iter(leaves)
            return ctx.function(*(next(given) if wants else t for t, wants in zip(tensors, wanted, strict=True)))

        _, pull, *_ = torch.func.vjp(function, *(t for t, wants in zip(tensors, wanted, strict=True) if wants))
        gradients = iter(pull(grad_outputs[0]))
        return *(next(gradients) if wants else None for wants in wanted), None


def is_recorded() -> bool:
    """Whether torch writes down what is computed: where it compiles, exports or traces."""
    return torch.compiler.is_compiling() or torch.jit.is_tracing()  # pyright: ignore[reportPrivateImportUsage]


def no_autocast(x: Tensor) -> AbstractContextManager[object]:
    """Switch autocast off where a tensor is, if it is on."""
    device = "cpu" if x.is_meta else x.device.type  # torch knows no autocast on meta
    return torch.autocast(device, enabled=False) if torch.is_autocast_enabled(device) else nullcontext()
