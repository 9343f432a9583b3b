"""The product of a group layer on a GPU, in Fourier space: forward in Triton, backward by torch's own convolutions."""

from collections.abc import Callable
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from orbitconv.nn.products.frequencies import Plan
from orbitconv.nn.products.kernel.autograd import Dense, gradients_by_autograd

Mix = Callable[..., Tensor]


def multiply(
    x: Float[Tensor, "b ih h w"],
    coefficients: Float[Tensor, "o i m d"],
    bias: Float[Tensor, " o"] | None,
    plan: Plan,
    stride: tuple[int, int],
    padding: tuple[int, int],
    dense: Dense,
) -> Float[Tensor, "b og h2 w2"]:
    """What a group layer computes, with gradients, in float32, or in bfloat16 with sums in float32.

    The plan is in float32. `dense` is the same product in operations of torch, for gradients.
    """
    return _Product.apply(x, coefficients, bias, plan, stride, padding, dense)


class _Product(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        coefficients: Tensor,
        bias: Tensor | None,
        plan: Plan,
        stride: tuple[int, int],
        padding: tuple[int, int],
        dense: Dense,
    ) -> Tensor:
        from orbitconv.nn.products.gpu.mixing import filter_and_mix  # which needs Triton

        ctx.save_for_backward(x, coefficients, bias)
        ctx.dense = dense
        outputs, inputs, order, _ = coefficients.shape
        pairs = (plan.transform @ x.float().reshape(-1, order, x.shape[2:].numel())).view(x.shape)
        factors = (coefficients.float().flatten(2) @ plan.packing).view(outputs, inputs, order // 2, 2, -1)
        mixed = filter_and_mix(pairs, factors.permute(2, 3, 0, 1, 4), plan, stride, padding)
        y = torch.einsum("gf,bfohw->boghw", plan.inverse, mixed)
        y = y if bias is None else y + bias.float()[:, None, None, None]
        return y.flatten(1, 2).to(x.dtype)

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor | None, ...]:
        found = gradients_by_autograd(ctx.dense, ctx.saved_tensors, ctx.needs_input_grad[:3], grad_outputs[0])
        return *found, *[None] * 4
