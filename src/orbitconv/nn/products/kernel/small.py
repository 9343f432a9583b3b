"""The fused product of small layers, whose calls cost more than their work: one call packs and multiplies."""

import ctypes

import torch
from jaxtyping import Float
from torch import Tensor

from orbitconv.nn.products.kernel.fused import Options, fields_of, moved_back, output_size, plan_of, refuse, whole
from orbitconv.nn.products.kernel.structure import Structure

_MOST = 2_000_000
"""Multiply-adds of packing up to which one thread without a library is as fast."""


def is_small(x: Tensor, coefficients: Tensor, bias: Tensor | None, structure: Structure) -> bool:
    """Whether packing is to be done in the same call."""
    return (
        coefficients.numel() * structure.pack.shape[1] <= _MOST
        and structure.cosets is None
        and coefficients.dtype == torch.float32
        and coefficients.is_contiguous()
        and x.numel() > 0
        and (bias is None or (bias.dtype == torch.float32 and bias.is_contiguous()))
    )


def correlate_small(
    library: ctypes.CDLL,
    x: Float[Tensor, "b ih h w"],
    coefficients: Float[Tensor, "o i m d"],
    bias: Float[Tensor, " o"] | None,
    structure: Structure,
    options: Options,
) -> Float[Tensor, "b og h2 w2"]:
    """What a group layer computes; without a gradient."""
    size = output_size(x, structure.side, options)
    moved = options.stride, 1, *options.padding, options.threads
    return _correlate(library, x, coefficients, bias, structure, size, moved, is_transposed=False)


def gradient_of_input_small(
    library: ctypes.CDLL,
    gradient: Float[Tensor, "b og h2 w2"],
    coefficients: Float[Tensor, "o i m d"],
    structure: Structure,
    options: Options,
    size: tuple[int, int],
) -> Float[Tensor, "b ih h w"]:
    """The gradient of the input."""
    moved = moved_back(options, structure.side)
    return _correlate(library, gradient, coefficients, None, structure, size, moved, is_transposed=True)


def _correlate(
    library: ctypes.CDLL,
    x: Tensor,
    coefficients: Tensor,
    bias: Tensor | None,
    structure: Structure,
    size: tuple[int, int],
    moved: tuple[int, int, int, int, int],
    *,
    is_transposed: bool,
) -> Tensor:
    (x, memory_format), shape = whole(x), coefficients.shape
    sizes = (shape[1], shape[0]) if is_transposed else (shape[0], shape[1])
    matrix = structure.pack_transposed if is_transposed else structure.pack
    planes = len(x), sizes[0] * structure.order, *size
    y = torch.empty(planes, dtype=x.dtype, device="cpu", memory_format=memory_format)
    plan = plan_of(library, structure, x, y, sizes, moved, fields_of(structure, sizes[1]))
    if y.numel():
        refuse(
            library.correlate_coefficients(
                plan.address, x.data_ptr(), coefficients.data_ptr(), matrix.data_ptr(), len(matrix), is_transposed,
                None if bias is None else bias.data_ptr(), y.data_ptr(),
            )
        )  # fmt: skip
    return y


def gradient_of_coefficients_small(
    library: ctypes.CDLL,
    x: Float[Tensor, "b ih h w"],
    gradient: Float[Tensor, "b og h2 w2"],
    shape: torch.Size,
    structure: Structure,
    options: Options,
    *,
    with_bias: bool,
) -> tuple[Float[Tensor, "o i m d"], Float[Tensor, " o"] | None]:
    """The gradient of the coefficients, and of the bias."""
    x, gradient = whole(x)[0], whole(gradient)[0]
    found = torch.empty(shape, dtype=torch.float32, device="cpu")
    bias = torch.empty(shape[0], dtype=torch.float32, device="cpu") if with_bias else None
    moved = options.stride, 1, *options.padding, options.threads
    plan = plan_of(library, structure, x, gradient, (shape[0], shape[1]), moved, fields_of(structure, shape[1]))
    refuse(
        library.differentiate_coefficients(
            plan.address, x.data_ptr(), gradient.data_ptr(), structure.unpack.data_ptr(), len(structure.pack),
            found.data_ptr(), None if bias is None else bias.data_ptr(),
        )
    )  # fmt: skip
    return found, bias
