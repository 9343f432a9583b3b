"""The fused product for a layer: whether it takes a call, and what it costs."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from orbitconv.bases.filter_basis import FixedBasis
from orbitconv.groups import Cyclic, Dihedral, Group
from orbitconv.nn.products.kernel.autograd import fused_conv
from orbitconv.nn.products.kernel.cosets import cosets_of
from orbitconv.nn.products.kernel.fused import Options
from orbitconv.nn.products.kernel.library import is_built, library
from orbitconv.nn.products.kernel.plain import is_plain, storage_of
from orbitconv.nn.products.kernel.structure import Structure, structure_of
from orbitconv.nn.products.once import OncePerBasis

_DTYPES = (torch.float32, torch.bfloat16)


def offer(layer: Any, x: Float[Tensor, "b ih h w"]) -> Structure | str:
    """The structure with which the fused product takes a call; or why it does not, as part of a sentence."""
    coefficients, bias = layer.coefficients, layer.bias
    tensors = (x, coefficients) if bias is None else (x, coefficients, bias)
    dtypes = _DTYPES if torch.is_autocast_enabled("cpu") else (x.dtype,)
    if storage_of(x) not in _DTYPES or not is_plain(*tensors, dtypes=dtypes):
        return "it takes float32 and bfloat16 tensors on the CPU, outside torch.func"
    if layer.groups != 1 or layer.dilation != (1, 1) or layer.stride not in {(1, 1), (2, 2)}:
        return "it takes strides 1 and 2, without dilation or groups of channels"
    if type(layer.group) not in {Cyclic, Dihedral} or layer.group.num_rotations not in {4, 8, 12, 16}:
        return "it takes groups of 4, 8, 12 and 16 rotations"
    if max(layer.padding) >= min(layer.kernel_size):
        return "it takes padding that is smaller than the kernel"
    if not is_built():
        return "it is not built on this machine (orbitconv build-kernel)"
    return structure(layer.basis) or "the basis is not steerable, or its kernel not of 3, 5 or 7 pixels"


def multiply(
    layer: Any, x: Float[Tensor, "b ih h w"], known: Structure, expand: Callable[[Tensor, Tensor], Tensor]
) -> Float[Tensor, "b og h2 w2"]:
    """What a layer computes, by the fused product."""
    functions = library()
    if functions is None:
        raise RuntimeError("The fused product expects a kernel, found none: ask for an offer first.")
    x = x.to(storage_of(x)) if torch.is_autocast_enabled("cpu") else x
    x, padding = layer.pad(x)

    def dense(planes: Tensor, coefficients: Tensor, bias: Tensor | None) -> Tensor:
        bias = None if bias is None else bias.repeat_interleave(layer.group.order).to(planes.dtype)
        weight = expand(coefficients, layer.basis(coefficients.dtype)).to(planes.dtype)
        return F.conv2d(planes, weight, bias, layer.stride, padding)

    options = Options(layer.stride[0], padding)
    return fused_conv(functions, x, layer.coefficients, layer.bias, known, options, dense)


class Prices(NamedTuple):
    """Time of a fused product, in multiply-adds of a dense convolution; the last three are of the dense product itself.

    A price is that of one multiply-add of mixing or filtering, or of one number that is stored, moved (input and
    output), packed (coefficients) or expanded (the dense weight); `call` and `dense_call` are those of a call of any
    size.
    """

    mixing: float
    filtering: float
    storing: float
    moving: float
    packing: float
    call: float
    dense_moving: float
    dense_weight: float
    dense_call: float


PRICES = {
    True: Prices(1.2, 1.8, 8.4, 76, 1520, 11e6, 94, 79, 28e6),
    False: Prices(1.0, 1.8, 8.4, 73, 1510, 8.6e6, 82, 126, 27e6),
}
"""With and without gradients; fitted to 80 layers, C4 to C16, 3x3 to 7x7, 1 to 32 fields, two threads with AVX-512.

Expected times of a forward pass were 0.71 to 1.28 of those measured, of a training step 0.73 to 1.27.
"""

PACKED = PRICES[False]._replace(packing=0, call=6e6, dense_weight=0, dense_call=6e6)
"""Where coefficients are packed and filters expanded once and for all; calls cost about the same."""


def expected_share(
    known: Structure, prices: Prices, channels: tuple[int, int], stride: int, shape: Sequence[int]
) -> float:
    """Time that the fused product is expected to take on the machine of the fit, over that of the dense one."""
    return _expected_share(known, prices, channels, stride, tuple(shape))


@lru_cache(maxsize=1024)
def _expected_share(
    known: Structure, prices: Prices, channels: tuple[int, int], stride: int, shape: tuple[int, ...]
) -> float:
    (outputs, inputs), order, area = channels, known.order, known.side**2
    pixels = shape[0] * (shape[2] // stride) * (shape[3] // stride)
    planes = known.products * known.rank
    moved = order * (inputs * stride**2 + outputs) * pixels
    # With a stride, the gradient of the input mixes at every pixel of the input.
    mixed = pixels * (1 if stride == 1 or prices is not PRICES[True] else (2 + stride**2) / 3)
    fused = (
        prices.mixing * planes * inputs * outputs * mixed
        + prices.filtering * order * inputs * (known.rank * area / 2.2 + 2 * area) * mixed
        + prices.storing * planes * inputs * mixed
        + prices.moving * moved
        + prices.packing * planes * inputs * outputs
        + prices.call
    )
    weight = inputs * outputs * order**2 * area
    dense = weight * (pixels + prices.dense_weight) + prices.dense_moving * moved + prices.dense_call
    return fused / dense


@OncePerBasis
def structure(basis: FixedBasis) -> Structure | None:
    """The structure of a basis; None if the fused product does not take the basis."""
    if not basis.atoms.is_cpu:
        return None
    numbers = basis.atoms.detach().double().contiguous().numpy().tobytes()
    return _structure_of(basis.group, tuple(basis.atoms.shape), numbers)


@lru_cache(maxsize=64)
def _structure_of(group: Group, shape: tuple[int, ...], numbers: bytes) -> Structure | None:
    """The same for all bases of equal atoms."""
    with torch.inference_mode(mode=False):
        atoms = torch.frombuffer(bytearray(numbers), dtype=torch.float64).view(shape)
        if not isinstance(group, Dihedral):
            return structure_of(atoms)
        found, cosets = structure_of(atoms[: group.num_rotations]), cosets_of(group, atoms)
        return None if found is None or cosets is None else replace(found, cosets=cosets)
