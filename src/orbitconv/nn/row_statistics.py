"""Normalization of rows by statistics that neighbouring columns share."""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from orbitconv.nn.products.recompute import no_autocast


def normalize_rows(
    rows: Float[Tensor, "n cg"],
    weight: Float[Tensor, " cg"] | None,
    bias: Float[Tensor, " cg"] | None,
    order: int,
    eps: float,
) -> tuple[Float[Tensor, "n cg"], Float[Tensor, " c"], Float[Tensor, " c"]]:
    """Batch normalization with mean and variance over the rows and over `order` adjacent columns.

    Also returns mean and (biased) variance of every channel, without gradients.
    """
    weight = rows.new_ones(rows.shape[1]) if weight is None else weight
    bias = rows.new_zeros(rows.shape[1]) if bias is None else bias
    return _Normalize.apply(rows, weight, bias, order, eps)


def _normalize(
    rows: Tensor, weight: Tensor, bias: Tensor, order: int, eps: float
) -> tuple[Float[Tensor, "n cg"], Float[Tensor, " c"], Float[Tensor, " c"]]:
    """`normalize_rows` in operations that can be differentiated any number of times, but keep three copies of rows."""
    mean = _share(rows.mean(0), order)
    centred = rows - mean.repeat_interleave(order)
    variance = _share(centred.square().mean(0), order)
    scale = weight * (variance + eps).rsqrt().repeat_interleave(order)
    return torch.addcmul(bias, centred, scale), mean, variance


def _share(columns: Float[Tensor, " cg"], order: int) -> Float[Tensor, " c"]:
    """Mean over the columns of a channel."""
    return columns.unflatten(0, (-1, order)).mean(1)


class _Normalize(torch.autograd.Function):
    """`_normalize`, whose gradient by autograd would go through the rows twice as often."""

    generate_vmap_rule = True

    @staticmethod
    def forward(rows: Tensor, weight: Tensor, bias: Tensor, order: int, eps: float) -> tuple[Tensor, Tensor, Tensor]:
        return _normalize(rows, weight, bias, order, eps)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
        rows, weight, bias, ctx.order, ctx.eps = inputs
        _, mean, variance = output
        ctx.mark_non_differentiable(mean, variance)
        ctx.save_for_backward(rows, weight, bias, mean, variance)
        ctx.save_for_forward(rows, weight, bias)

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor | None, ...]:
        rows, weight, bias, mean, variance = ctx.saved_tensors
        upstream, order = grad_outputs[0], ctx.order
        if torch.is_grad_enabled():  # the gradient is to be differentiated once more
            _, pull, *_ = torch.func.vjp(lambda r, w, b: _normalize(r, w, b, order, ctx.eps)[0], rows, weight, bias)
            return *pull(upstream), None, None
        with no_autocast(rows):
            inverse = (variance + ctx.eps).rsqrt().repeat_interleave(order)
            centred = rows - mean.repeat_interleave(order)
            for_weight = (upstream * centred).sum(0) * inverse
            for_bias = upstream.sum(0)
            # y = weight * inverse * (rows - mean): what passes through inverse and mean is taken off again.
            slope = _share(weight * for_weight, order).repeat_interleave(order) / len(rows)
            offset = _share(weight * for_bias, order).repeat_interleave(order) / len(rows)
            for_rows = torch.addcmul(-offset * inverse, centred, -slope * inverse.square(), out=centred)
            return for_rows.addcmul_(upstream, weight * inverse), for_weight, for_bias, None, None

    @staticmethod
    def jvp(ctx: Any, *grad_inputs: Any) -> tuple[Tensor, None, None]:
        rows, weight, bias = ctx.saved_tensors
        given = (rows, weight, bias)
        along_rows, along_weight, along_bias = (
            torch.zeros_like(x) if t is None else t for x, t in zip(given, grad_inputs, strict=False)
        )
        ones, zeros = torch.ones_like(weight), torch.zeros_like(bias)
        plain, _, variance = _normalize(rows, ones, zeros, ctx.order, ctx.eps)
        scale = weight * (variance + ctx.eps).rsqrt().repeat_interleave(ctx.order)
        stretched = _share((plain * along_rows).mean(0), ctx.order).repeat_interleave(ctx.order)
        moved = _share(along_rows.mean(0), ctx.order).repeat_interleave(ctx.order)
        return scale * (along_rows - moved - plain * stretched) + along_weight * plain + along_bias, None, None
