"""Checks that a file can hold the network it describes, before anything of the described size is built."""

import math
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.module import register_module_parameter_registration_hook

from orbitconv.bases import parse_basis_name
from orbitconv.groups import parse_group

_LARGEST_GROUP = 4096  # elements; tables of products grow with the square of their number
_LARGEST_TABLE = 2**25  # numbers of a basis with one atom for each pixel
_CANDIDATES = 100  # networks that a search for the width may try
_WIDER = 10_000  # how much larger than the file a layer of such a candidate may be


def check_plausible(
    build: Callable[[], nn.Module], options: Mapping[str, Any], tensors: Mapping[str, Tensor], *, exact: bool = True
) -> None:
    """Refuse a description that the weights of the file do not fit.

    Numbers among the options (basis, sizes, ...) are compared with the size of the file, then the network is built on
    the meta device, where it takes no memory, and its state dict is compared with that of the file: `exact` unless the
    network is converted afterwards, which gives it other names and shapes.
    """
    total = sum(tensor.numel() for tensor in tensors.values())
    for name, value in _leaves(options):
        if isinstance(value, str) and name.endswith("basis"):
            _check_basis(value, options)
        elif isinstance(value, str) and name == "group" and parse_group(value).order > _LARGEST_GROUP:
            raise ValueError(f"the group {value} is too large")
        elif isinstance(value, int | float) and abs(value) > (len(tensors) if name == "depth" else max(total, 10)):
            raise ValueError(f"{name} {value} is larger than the file")
    with _limited(_CANDIDATES * (len(tensors) + 10), _WIDER * (total + 1)), torch.device("meta"):
        expected = build().state_dict()
    shapes, found = ({name: tuple(one.shape) for name, one in state.items()} for state in (expected, tensors))
    if exact and (
        different := sorted(name for name in shapes.keys() | found.keys() if shapes.get(name) != found.get(name))
    ):
        name = different[0]
        raise ValueError(
            f"{len(different)} tensors differ in name or shape ({name}: {shapes.get(name, 'none')} in the network, "
            f"{found.get(name, 'none')} in the file)"
        )


def _leaves(options: Mapping[str, Any], name: str = "") -> Iterator[tuple[str, Any]]:
    """Names and values in nested options."""
    for key, value in options.items():
        if isinstance(value, Mapping):
            yield from _leaves(value, key)
        else:
            yield from ((key or name, one) for one in (value if isinstance(value, list | tuple) else [value]))


def _check_basis(name: str, options: Mapping[str, Any]) -> None:
    """Refuse the name of a basis that is too large to build."""
    if "-" not in name or name.endswith(".safetensors"):  # none, or the family of a conversion, whose group is apart
        return
    basis = parse_basis_name(name)
    given = [value for key, value in _leaves(options) if key.endswith("kernel_size") and isinstance(value, int)]
    side = max([basis.kernel_size or 3, *given])
    if basis.group.order > _LARGEST_GROUP or basis.group.order * side**4 > _LARGEST_TABLE:
        raise ValueError(f"the basis {name} with kernels of {side}x{side} is too large")


@contextmanager
def _limited(count: int, numbers: int) -> Iterator[None]:
    """Refuse more parameters than `count`, or larger ones than `numbers`, in modules that this thread builds."""
    left, thread = count, threading.get_ident()

    def refuse(_module: nn.Module, _name: str, parameter: nn.Parameter | None) -> None:
        nonlocal left
        if threading.get_ident() != thread or parameter is None:
            return
        left -= 1
        if left < 0 or math.prod(parameter.shape) > numbers:
            raise ValueError("the network it describes is larger than the file")

    handle = register_module_parameter_registration_hook(refuse)  # type: ignore[arg-type]
    try:
        yield
    finally:
        handle.remove()
