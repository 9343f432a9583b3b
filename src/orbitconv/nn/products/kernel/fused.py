"""The fused product of a group layer and its gradients, as compiled functions of tensors; `autograd.py` joins them.

`fused.cpp` tells how it multiplies. It never makes the weight of the dense convolution: coefficients are packed by a
matrix product, and their gradient comes back by its transpose.

Sizes: o and i count channels, g, h and m group elements, d atoms.
"""

import ctypes
from functools import lru_cache
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from orbitconv.nn.products.kernel.structure import Structure

_CACHE = 700_000
"""Bytes of filtered planes of one tile, which stay in the cache of a core."""
_FIELDS = 16
"""Fields of input that are filtered together, at most; half of them where there are no more than `_FEW`."""
_FEW = 32

_ALONE = 1_500_000
"""Multiply-adds for which one thread is enough."""


class Options(NamedTuple):
    """How a layer moves its filters: by 1 or 2 pixels, with zeros at (top and bottom, left and right).

    0 threads stand for those of torch, and one where that is enough.
    """

    stride: int
    padding: tuple[int, int]
    threads: int = 0


class Problem(ctypes.Structure):
    """What the compiled functions are told, in the order of `fused.cpp`."""

    _fields_ = [
        *((name, ctypes.c_void_p) for name in ("matrices", "signs", "terms")),
        *((name, ctypes.c_int64) for name in ("order", "side", "rank", "num_terms")),
        ("classes", ctypes.c_int64 * 3),
        *((name, ctypes.c_int64) for name in ("batch", "inputs", "outputs")),
        *((name, ctypes.c_int64) for name in ("in_height", "in_width", "out_height", "out_width")),
        *((name, ctypes.c_int64) for name in ("stride", "spread", "top", "left")),
        ("x_steps", ctypes.c_int64 * 5),
        ("y_steps", ctypes.c_int64 * 5),
        *((name, ctypes.c_int64) for name in ("pixels_at_a_time", "fields_at_a_time", "threads", "is_half")),
    ]


def declare(library: ctypes.CDLL) -> ctypes.CDLL:
    """Tell ctypes the types of the compiled functions."""
    pointer = ctypes.c_void_p
    library.make_plan.argtypes, library.make_plan.restype = [ctypes.POINTER(Problem)], pointer
    library.drop_plan.argtypes, library.drop_plan.restype = [pointer], None
    library.correlate.argtypes, library.correlate.restype = [*[pointer] * 5, ctypes.c_int64, pointer], ctypes.c_int
    library.differentiate.argtypes, library.differentiate.restype = [pointer] * 5, ctypes.c_int
    integer = ctypes.c_int64
    library.correlate_coefficients.argtypes = [*[pointer] * 4, integer, integer, pointer, pointer]
    library.differentiate_coefficients.argtypes = [*[pointer] * 4, integer, pointer, pointer]
    library.pack.argtypes, library.pack.restype = [pointer, pointer, *[ctypes.c_int64] * 7], None
    return library


class Packed(NamedTuple):
    """The factors in the order in which the compiled product reads them, for channels of output and of input.

    There are so many `fields` of input in a block.
    """

    numbers: Float[Tensor, " n"]
    sizes: tuple[int, int]
    fields: int


def pack(
    library: ctypes.CDLL, coefficients: Float[Tensor, "o i m d"], structure: Structure, *, transposed: bool = False
) -> Packed:
    """Bring coefficients to the order of the compiled product; without a gradient."""
    outputs, inputs = coefficients.shape[:2]
    matrix = structure.pack_transposed if transposed else structure.pack
    raw = torch.empty(outputs * inputs, matrix.shape[1], dtype=torch.float32, device="cpu")
    flat = coefficients.detach().float().reshape(outputs * inputs, -1)
    torch.mm(flat, matrix, out=raw)  # which autocast leaves alone
    numbers = torch.empty(raw.numel(), dtype=torch.float32, device="cpu")
    steps = raw.shape[1] * inputs, raw.shape[1]
    if transposed:
        (outputs, inputs), steps = (inputs, outputs), steps[::-1]
    fields = fields_of(structure, inputs)
    library.pack(
        raw.data_ptr(), numbers.data_ptr(), *steps, outputs, inputs, structure.products, structure.rank, fields
    )
    return Packed(numbers, (outputs, inputs), fields)


def correlate(
    library: ctypes.CDLL,
    x: Float[Tensor, "b ih h w"],
    packed: Packed,
    structure: Structure,
    options: Options,
    bias: Float[Tensor, " o"] | None = None,
    *,
    added: Float[Tensor, "b og h2 w2"] | None = None,
    rectify: bool = False,
) -> Float[Tensor, "b og h2 w2"]:
    """What a group layer computes, with packed coefficients, of float32 or bfloat16 planes; without a gradient.

    The output has the memory format of `x`, contiguous or channels last; the bias is in float32.
    """
    size = output_size(x, structure.side, options)
    moved = options.stride, 1, *options.padding, options.threads
    return _correlate(library, x, packed, structure, size, moved, bias, added, rectify)


def output_size(x: Float[Tensor, "b ih h w"], side: int, options: Options) -> tuple[int, int]:
    """Height and width of what a layer makes of planes."""
    (top, left), stride = options.padding, options.stride
    return (x.shape[2] + 2 * top - side) // stride + 1, (x.shape[3] + 2 * left - side) // stride + 1


def gradient_of_input(
    library: ctypes.CDLL,
    gradient: Float[Tensor, "b og h2 w2"],
    packed: Packed,
    structure: Structure,
    options: Options,
    size: tuple[int, int],
) -> Float[Tensor, "b ih h w"]:
    """The gradient of the input."""
    return _correlate(library, gradient, packed, structure, size, moved_back(options, structure.side), None)


def moved_back(options: Options, side: int) -> tuple[int, int, int, int, int]:
    """How the transposed correlation moves, which gives the gradient of the input."""
    top, left = options.padding
    return 1, options.stride, side - 1 - top, side - 1 - left, options.threads


def _correlate(
    library: ctypes.CDLL,
    x: Tensor,
    packed: Packed,
    structure: Structure,
    size: tuple[int, int],
    moved: tuple[int, int, int, int, int],
    bias: Tensor | None,
    added: Tensor | None = None,
    rectify: bool = False,
) -> Tensor:
    (x, memory_format), outputs = whole(x), packed.sizes[0]
    shape = len(x), outputs * structure.order, *size
    y = torch.empty(shape, dtype=x.dtype, device="cpu", memory_format=memory_format)
    if added is not None:
        added = added.contiguous(memory_format=memory_format)
    if y.numel():
        plan = plan_of(library, structure, x, y, packed.sizes, moved, packed.fields)
        shift = None if bias is None else bias.data_ptr()
        more = None if added is None else added.data_ptr()
        numbers = packed.numbers.data_ptr()
        refuse(library.correlate(plan.address, x.data_ptr(), numbers, shift, more, rectify, y.data_ptr()))
    return y


def gradient_of_coefficients(
    library: ctypes.CDLL,
    x: Float[Tensor, "b ih h w"],
    gradient: Float[Tensor, "b og h2 w2"],
    structure: Structure,
    options: Options,
    *,
    with_bias: bool = False,
) -> tuple[Float[Tensor, "o i m d"], Float[Tensor, " o"] | None]:
    """The gradient of the coefficients, and of the bias or None; in float32."""
    x, gradient = whole(x)[0], whole(gradient)[0]
    order = structure.order
    outputs, inputs = gradient.shape[1] // order, x.shape[1] // order
    raw = torch.zeros(outputs * inputs, structure.pack.shape[1], dtype=torch.float32, device="cpu")
    bias = torch.zeros(outputs, dtype=torch.float32, device="cpu") if with_bias else None
    if gradient.numel() and raw.numel():
        fields = fields_of(structure, inputs)
        moved = options.stride, 1, *options.padding, options.threads
        plan = plan_of(library, structure, x, gradient, (outputs, inputs), moved, fields)
        for_bias = None if bias is None else bias.data_ptr()
        refuse(library.differentiate(plan.address, x.data_ptr(), gradient.data_ptr(), raw.data_ptr(), for_bias))
    found = torch.empty(outputs * inputs, len(structure.pack), dtype=torch.float32, device="cpu")
    torch.mm(raw, structure.pack.T, out=found)
    return found.view(outputs, inputs, order, -1), bias


def fields_of(structure: Structure, inputs: int) -> int:
    """Fields of input in a block."""
    most = _CACHE // (4 * structure.products * structure.rank * 128)
    return max(1, min(inputs, _FIELDS // 2 if inputs <= _FEW else _FIELDS, most))


class _Plan:
    """What calls of one size have in common, in memory of the compiled functions, if there is some."""

    def __init__(self, library: ctypes.CDLL, problem: Problem) -> None:
        self.address = library.make_plan(problem)
        self._drop = library.drop_plan
        refuse(not self.address)

    def __del__(self) -> None:
        if getattr(self, "address", None):
            self._drop(self.address)


def plan_of(
    library: ctypes.CDLL,
    structure: Structure,
    x: Tensor,
    y: Tensor,
    sizes: tuple[int, int],
    moved: tuple[int, int, int, int, int],
    fields: int,
) -> _Plan:
    """The plan of a call; `moved` are steps of output and input pixels, zeros above and left, and threads."""
    threads = moved[4] or torch.get_num_threads()
    shapes, strides, is_half = (*x.shape, *y.shape), (*x.stride(), *y.stride()), x.dtype == torch.bfloat16
    return _plan(library, structure, shapes, strides, sizes, moved, fields, threads, is_half)


@lru_cache(maxsize=512)
def _plan(
    library: ctypes.CDLL,
    structure: Structure,
    shapes: tuple[int, ...],
    strides: tuple[int, ...],
    sizes: tuple[int, int],
    moved: tuple[int, int, int, int, int],
    fields: int,
    threads: int,
    is_half: bool,
) -> _Plan:
    (batch, _, *before), (*_, height, width) = shapes[:4], shapes[4:]
    order, (outputs, inputs) = structure.order, sizes
    planes = structure.products * structure.rank
    is_small = planes * inputs * (outputs + _FIELDS) * batch * height * width <= _ALONE and not moved[4]
    pixels = min(256, max(64, _CACHE // (4 * planes * fields) // 16 * 16))
    steps = (
        (image, channel * order, channel, row, column) for image, channel, row, column in (strides[:4], strides[4:])
    )
    problem = Problem(
        *(tensor.data_ptr() for tensor in (structure.matrices, structure.signs, structure.terms)),
        *(order, structure.side, structure.rank, len(structure.terms), structure.classes),
        *(batch, inputs, outputs, *before, height, width, *moved[:4], *steps),
        *(pixels, fields, 1 if is_small else threads, is_half),
    )
    return _Plan(library, problem)


def whole(planes: Tensor) -> tuple[Tensor, torch.memory_format]:
    """Planes that are contiguous, or channels last as they came."""
    if planes.is_contiguous():
        return planes, torch.contiguous_format
    if planes.is_contiguous(memory_format=torch.channels_last):
        return planes, torch.channels_last
    return planes.contiguous(), torch.contiguous_format


def refuse(failed: int) -> None:
    """Raise an error if memory ran out."""
    if failed:
        raise MemoryError("The fused product expects a few megabytes of memory for each thread, found none.")
