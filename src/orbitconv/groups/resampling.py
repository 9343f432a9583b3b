"""Weighted sums of pixels, the same ones in every plane: a sparse product that can be differentiated twice."""

from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor


def weighted_sums(
    table: Float[Tensor, "p c"], index: Int[Tensor, "t k"], weight: Float[Tensor, "t k"]
) -> Float[Tensor, "t c"]:
    """Sum over k of weight[t, k] * table[index[t, k]], with derivatives of any order and in both modes."""
    if table.shape[1] == 0 or index.shape[0] == 0:
        return table.new_zeros(index.shape[0], table.shape[1])
    if torch.compiler.is_compiling():  # compiled graphs know first derivatives only, and no forward mode of one's own
        return _gather(table, index, weight)
    return _Gather.apply(table, index, weight)  # pyright: ignore[reportReturnType]


def _gather(table: Tensor, index: Tensor, weight: Tensor) -> Tensor:
    return F.embedding_bag(index, table.contiguous(), per_sample_weights=weight, mode="sum")


class _Gather(torch.autograd.Function):
    """The sums; its transpose is `_Scatter`."""

    @staticmethod
    def forward(table: Tensor, index: Tensor, weight: Tensor) -> Tensor:
        return _gather(table, index, weight)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Tensor, Tensor], output: Tensor) -> None:  # noqa: ARG004
        ctx.save_for_backward(*inputs)
        ctx.save_for_forward(*inputs)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, None, Tensor | None]:  # pyright: ignore[reportIncompatibleMethodOverride]
        table, index, weight = ctx.saved_tensors
        to_table, _, to_weight = ctx.needs_input_grad
        return (
            _Scatter.apply(grad, index, weight, len(table)) if to_table else None,  # pyright: ignore[reportReturnType]
            None,
            _products(grad, table, index) if to_weight else None,
        )

    @staticmethod
    def jvp(ctx: Any, along_table: Tensor | None, _: None, along_weight: Tensor | None) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]
        table, index, weight = ctx.saved_tensors
        parts = [
            _Gather.apply(*part)
            for part in ((along_table, index, weight), (table, index, along_weight))
            if part[0] is not None and part[2] is not None
        ]
        return sum(parts[1:], start=parts[0])  # pyright: ignore[reportReturnType, reportCallIssue, reportArgumentType]

    @staticmethod
    def vmap(info: Any, in_dims: tuple[int | None, ...], table: Tensor, index: Tensor, weight: Tensor) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride]
        if in_dims[1] is None and in_dims[2] is None:  # more columns
            wide = table.movedim(in_dims[0] or 0, 1)
            sums = _Gather.apply(wide.flatten(1), index, weight)
            return sums.unflatten(1, wide.shape[1:]), 1  # pyright: ignore[reportAttributeAccessIssue]
        tables, indices, weights = _in_front(info.batch_size, in_dims, (table, index, weight))
        return torch.stack([_Gather.apply(*one) for one in zip(tables, indices, weights, strict=True)]), 0  # pyright: ignore[reportArgumentType, reportCallIssue]


class _Scatter(torch.autograd.Function):
    """out[index[t, k]] += weight[t, k] * values[t]."""

    @staticmethod
    def forward(values: Tensor, index: Tensor, weight: Tensor, size: int) -> Tensor:
        pixel, entry = index.flatten().int().sort()  # entries of one pixel in a row: again a sparse product
        starts = torch.searchsorted(pixel, torch.arange(size, dtype=pixel.dtype, device=pixel.device))
        return F.embedding_bag(
            entry // index.shape[1], values.contiguous(), starts, per_sample_weights=weight.flatten()[entry], mode="sum"
        )

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Tensor, Tensor, int], output: Tensor) -> None:  # noqa: ARG004
        ctx.save_for_backward(*inputs[:3])
        ctx.save_for_forward(*inputs[:3])
        ctx.size = inputs[3]

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, None, Tensor | None, None]:  # pyright: ignore[reportIncompatibleMethodOverride]
        values, index, weight = ctx.saved_tensors
        to_values, _, to_weight, _ = ctx.needs_input_grad
        return (
            _Gather.apply(grad, index, weight) if to_values else None,  # pyright: ignore[reportReturnType]
            None,
            _products(values, grad, index) if to_weight else None,
            None,
        )

    @staticmethod
    def jvp(ctx: Any, along_values: Tensor | None, _: None, along_weight: Tensor | None, __: None) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]
        values, index, weight = ctx.saved_tensors
        parts = [
            _Scatter.apply(*part, ctx.size)
            for part in ((along_values, index, weight), (values, index, along_weight))
            if part[0] is not None and part[2] is not None
        ]
        return sum(parts[1:], start=parts[0])  # pyright: ignore[reportReturnType, reportCallIssue, reportArgumentType]

    @staticmethod
    def vmap(  # pyright: ignore[reportIncompatibleMethodOverride]
        info: Any, in_dims: tuple[int | None, ...], values: Tensor, index: Tensor, weight: Tensor, size: int
    ) -> Any:
        if in_dims[1] is None and in_dims[2] is None:
            wide = values.movedim(in_dims[0] or 0, 1)
            sums = _Scatter.apply(wide.flatten(1), index, weight, size)
            return sums.unflatten(1, wide.shape[1:]), 1  # pyright: ignore[reportAttributeAccessIssue]
        several = _in_front(info.batch_size, in_dims[:3], (values, index, weight))
        return torch.stack([_Scatter.apply(*one, size) for one in zip(*several, strict=True)]), 0  # pyright: ignore[reportArgumentType, reportCallIssue]


def _products(rows: Tensor, table: Tensor, index: Tensor) -> Tensor:
    """products[t, k] = sum over columns of rows[t] * table[index[t, k]]."""
    return torch.stack([(rows * table[index[:, k]]).sum(1) for k in range(index.shape[1])], 1)


def _in_front(size: int, dims: tuple[int | None, ...], tensors: tuple[Tensor, ...]) -> list[Tensor]:
    """Tensors with their batch axis in front, repeated where they have none."""
    return [
        one.expand(size, *one.shape) if dim is None else one.movedim(dim, 0)
        for one, dim in zip(tensors, dims, strict=True)
    ]
