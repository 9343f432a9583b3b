"""The fused product for a layer: whether it takes a call, and what it costs."""

from functools import lru_cache
from typing import Any
from weakref import WeakKeyDictionary

import torch
from jaxtyping import Float
from torch import Tensor

from orbitconv.bases.filter_basis import FixedBasis
from orbitconv.groups import Cyclic
from orbitconv.nn.products.kernel.fused import Dense, Options, fused_conv, is_plain
from orbitconv.nn.products.kernel.library import is_built, library
from orbitconv.nn.products.kernel.structure import Structure, structure_of

_STRUCTURES: WeakKeyDictionary[Any, tuple[Tensor, int, Structure | None]] = WeakKeyDictionary()


def reason_against(layer: Any, x: Float[Tensor, "b ih h w"]) -> str | None:
    """Why the fused product does not take a call.

    Args:
        layer: A `GroupConv2d`.
        x: Its input, channels and group flattened.

    Returns:
        The reason, as part of a sentence; None if it takes the call.
    """
    tensors = (x, layer.coefficients) if layer.bias is None else (x, layer.coefficients, layer.bias)
    if not is_plain(*tensors) or torch.is_autocast_enabled("cpu"):
        return "it takes float32 tensors on the CPU, outside autocast and torch.func"
    if layer.groups != 1 or layer.dilation != (1, 1) or layer.stride not in {(1, 1), (2, 2)}:
        return "it takes strides 1 and 2, without dilation or groups of channels"
    if not isinstance(layer.group, Cyclic) or layer.group.order not in {4, 8, 12, 16}:
        return "it takes C4, C8, C12 and C16"
    if max(layer.padding) >= min(layer.kernel_size):
        return "it takes padding that is smaller than the kernel"
    if not is_built():
        return "it is not built on this machine (orbitconv build-kernel)"
    return None if structure(layer.basis) else "the basis is not steerable, or its kernel not of 3, 5 or 7 pixels"


def is_usable(layer: Any, x: Float[Tensor, "b ih h w"]) -> bool:
    """Whether the fused product takes a call.

    Args:
        layer: A `GroupConv2d`.
        x: Its input, channels and group flattened.

    Returns:
        True if it does.
    """
    return reason_against(layer, x) is None


def multiply(layer: Any, x: Float[Tensor, "b ih h w"], dense: Dense) -> Float[Tensor, "b og h2 w2"]:
    """What a layer computes, by the fused product.

    Args:
        layer: A `GroupConv2d`.
        x: Its input, for which `is_usable` is true.
        dense: The same as a convolution of padded planes, coefficients and bias, for gradients of gradients.

    Returns:
        Output planes, with the bias.

    Raises:
        RuntimeError: If the kernel is not there.
    """
    functions, known = library(), structure(layer.basis)
    if functions is None or known is None:
        raise RuntimeError("The fused product expects a kernel and a steerable basis; ask is_usable first.")
    x, padding = layer.pad(x)
    options = Options(layer.stride[0], padding)
    return fused_conv(functions, x, layer.coefficients, layer.bias, known, options, dense)


def structure(basis: Any) -> Structure | None:
    """The structure of a basis, found once.

    Args:
        basis: A filter basis.

    Returns:
        The structure; None if the fused product does not take the basis.
    """
    if not isinstance(basis, FixedBasis) or basis.atoms.device.type != "cpu":
        return None
    known = _STRUCTURES.get(basis)
    atoms = basis.atoms
    if known is None or known[0] is not atoms or known[1] != _version(atoms):
        found = _structure_of(tuple(atoms.shape), atoms.detach().double().contiguous().numpy().tobytes())
        known = _STRUCTURES[basis] = atoms, _version(atoms), found
    return known[2]


def _version(tensor: Tensor) -> int:
    """How often it was changed in place; tensors of inference mode do not count."""
    return 0 if tensor.is_inference() else tensor._version  # noqa: SLF001


@lru_cache(maxsize=64)
def _structure_of(shape: tuple[int, ...], numbers: bytes) -> Structure | None:
    """The same for all bases of equal atoms."""
    with torch.inference_mode(mode=False):
        return structure_of(torch.frombuffer(bytearray(numbers), dtype=torch.float64).view(shape))
