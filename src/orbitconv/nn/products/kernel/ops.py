"""The compiled functions as operators of torch, which `torch.func` and tensors without numbers understand.

Sizes: o and i count channels, g, h and m elements, d atoms.
"""

import ctypes
import threading
from collections.abc import Callable
from functools import cache
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from orbitconv.nn.products.kernel.library import is_built, library

_ALONE = 2_000_000
"""Multiply-adds for which one thread is enough."""
_LOCK = threading.Lock()


def is_usable(coefficients: Tensor, atoms: Tensor) -> bool:
    """Whether the kernel makes filters of such coefficients and atoms."""
    return (
        coefficients.device.type == "cpu"
        and atoms.device.type == "cpu"
        and coefficients.dtype == atoms.dtype
        and coefficients.dtype in {torch.float32, torch.float64}
        and atoms.shape[2:].numel() > 1  # one product of torch is as fast
        and is_built()
    )


def expand(
    coefficients: Float[Tensor, "o i m d"], atoms: Float[Tensor, "g d ky kx"], source: Int[Tensor, "g h"]
) -> Float[Tensor, "og ih ky kx"]:
    """weight[o, g, i, h] = sum over d of coefficients[o, i, source[g, h], d] * atoms[g, d]; without a gradient."""
    return _operators().expand(coefficients, atoms, source)


def take_back(
    planes: Float[Tensor, "og ih ky kx"], atoms: Float[Tensor, "g d ky kx"], target: Int[Tensor, "g m"]
) -> Float[Tensor, "o i m d"]:
    """The transpose: sum over g and pixels of planes[o, g, i, target[g, m]] * atoms[g, d]; without a gradient."""
    return _operators().take_back(planes, atoms, target)


def expand_by_index(
    coefficients: Float[Tensor, "*c o i m d"], atoms: Float[Tensor, "*a g d ky kx"], source: Int[Tensor, "g h"]
) -> Float[Tensor, "*w og ih ky kx"]:
    """What `expand` does, in operations of torch: for tensors that are several in one or have no numbers."""
    weight = torch.einsum("...oighd,...gdyx->...ogihyx", coefficients[..., source, :], atoms)
    return weight.flatten(-4, -3).flatten(-5, -4)


def take_back_by_index(
    planes: Float[Tensor, "*w og ih ky kx"], atoms: Float[Tensor, "*a g d ky kx"], target: Int[Tensor, "g m"]
) -> Float[Tensor, "*c o i m d"]:
    """What `take_back` does, in operations of torch."""
    order = len(target)
    by_element = planes.unflatten(-4, (-1, order)).unflatten(-3, (-1, order)).movedim((-5, -3), (0, 1))
    turned = by_element[torch.arange(order, device=planes.device)[:, None], target]
    return torch.einsum("gm...oiyx,...gdyx->...oimd", turned, atoms)


def call(
    library: ctypes.CDLL,
    name: str,
    first: Tensor,
    atoms: Tensor,
    table: Tensor,
    result: Tensor,
    pairs: tuple[int, int],
    threads: int | None = None,
) -> Tensor:
    """Fill `result` by the compiled `"expand"` or `"take_back"`; threads are torch's, or one where that is enough."""
    first, atoms, table = first.contiguous(), atoms.contiguous(), table.contiguous()
    order, num_atoms, pixels = len(atoms), atoms.shape[1], atoms.shape[2:].numel()
    if threads is None:
        threads = torch.get_num_threads() if pairs[0] * pairs[1] * order * atoms.numel() > _ALONE else 1
    function = getattr(library, f"{name}_{str(first.dtype).removeprefix('torch.')}")
    tensors = (tensor.data_ptr() for tensor in (first, atoms, table, result))
    function(*tensors, *pairs, order, num_atoms, pixels, threads)
    return result


def _expand(coefficients: Tensor, atoms: Tensor, source: Tensor) -> Tensor:
    (outputs, inputs, order, _), found = coefficients.shape, library()
    if found is None:
        return expand_by_index(coefficients, atoms, source)
    weight = atoms.new_empty(outputs * order, inputs * order, *atoms.shape[2:])
    return call(found, "expand", coefficients, atoms, source, weight, (outputs, inputs))


def _take_back(planes: Tensor, atoms: Tensor, target: Tensor) -> Tensor:
    order, found = len(atoms), library()
    if found is None:
        return take_back_by_index(planes, atoms, target)
    pairs = planes.shape[0] // order, planes.shape[1] // order
    return call(found, "take_back", planes, atoms, target, atoms.new_empty(*pairs, order, atoms.shape[1]), pairs)


def _operators() -> Any:
    """The operators; torch lets them be made once only."""
    with _LOCK:
        _define_operators()
    return torch.ops.orbitconv


@cache  # which also holds on to the library, without which torch would forget them
def _define_operators() -> torch.library.Library:
    """Define them, at the first call and not before, since torch takes a while."""
    library = torch.library.Library("orbitconv", "DEF")
    for name, first, table, own, by_index in (
        ("expand", "coefficients", "source", _expand, expand_by_index),
        ("take_back", "planes", "target", _take_back, take_back_by_index),
    ):
        library.define(f"{name}(Tensor {first}, Tensor atoms, Tensor {table}) -> Tensor")
        library.impl(name, own, "CPU")
        torch.library.register_fake(f"orbitconv::{name}", by_index, lib=library)
        torch.library.register_vmap(f"orbitconv::{name}", _several(by_index), lib=library)
    return library


def _several(by_index: Callable[..., Tensor]) -> Callable[..., tuple[Tensor, int]]:
    """What `torch.vmap` does with tensors that are several in one."""

    def rule(_: Any, in_dims: tuple[int | None, ...], *tensors: Tensor) -> tuple[Tensor, int]:
        pairs = zip(tensors, in_dims, strict=True)
        return by_index(*(t if axis is None else t.movedim(axis, 0) for t, axis in pairs)), 0

    return rule
