"""The product in Triton for a layer: whether it takes a call.

It was never timed on a GPU, so a layer takes it only where `ORBITCONV_TRITON=1` asks for it.
"""

import importlib.util
import os
from collections.abc import Callable
from functools import cache
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor
from torch._C._functorch import is_functorch_wrapped_tensor  # pyright: ignore[reportMissingModuleSource]

from orbitconv.bases.filter_basis import FixedBasis
from orbitconv.groups import Cyclic
from orbitconv.nn.products.frequencies import Plan, plan_of
from orbitconv.nn.products.gpu import product
from orbitconv.nn.products.once import OncePerBasis

_DTYPES = (torch.float32, torch.bfloat16)


def offer(layer: Any, x: Float[Tensor, "b ih h w"]) -> Plan | str:
    """The plan with which Triton takes a call of a `GroupConv2d`; or why it does not, as part of a sentence."""
    if not x.is_cuda:
        return "it takes CUDA tensors"
    if os.environ.get("ORBITCONV_TRITON") != "1":
        return "it was never timed on a GPU; ORBITCONV_TRITON=1 takes it"
    return offer_anywhere(layer, x)


def offer_anywhere(layer: Any, x: Float[Tensor, "b ih h w"]) -> Plan | str:
    """The same for tensors on any device, which Triton's interpreter takes too."""
    tensors = [t for t in (x, layer.coefficients, layer.bias) if t is not None]
    if torch.is_autocast_enabled(x.device.type) or any(
        t.dtype != x.dtype or t.device != x.device or is_functorch_wrapped_tensor(t) for t in tensors
    ):
        return "it takes tensors of one dtype on one device, outside autocast and torch.func"
    if x.dtype not in _DTYPES:
        return "it takes float32 and bfloat16 tensors"
    if layer.groups != 1 or layer.dilation != (1, 1):
        return "it takes layers without dilation or groups of channels"
    if type(layer.group) is not Cyclic or layer.group.order % 2:
        return "it takes cyclic groups of even order"
    if not _has_triton():
        return "Triton is not installed"
    return _plan(layer.basis) or "the basis is not steerable"


def multiply(
    layer: Any, x: Float[Tensor, "b ih h w"], plan: Plan, expand: Callable[[Tensor, Tensor], Tensor]
) -> Float[Tensor, "b og h2 w2"]:
    """What a layer computes with the plan of `offer`; `expand` gives a convolution's weight, for gradients."""
    x, padding = layer.pad(x)

    def dense(planes: Tensor, coefficients: Tensor, bias: Tensor | None) -> Tensor:
        bias = None if bias is None else bias.repeat_interleave(layer.group.order)
        return F.conv2d(planes, expand(coefficients, layer.basis(planes.dtype)), bias, layer.stride, padding)

    return product.multiply(x, layer.coefficients, layer.bias, plan, layer.stride, padding, dense)


@cache
def _has_triton() -> bool:
    return importlib.util.find_spec("triton") is not None


@OncePerBasis
@torch.inference_mode(mode=False)
def _plan(basis: FixedBasis) -> Plan | None:
    """The plan of a basis, on the device of its atoms."""
    plan = plan_of(basis.atoms.detach().to("cpu", torch.float64, copy=True))
    if plan is None:
        return None
    device = basis.atoms.device
    return Plan(*(t.to(device, torch.float32 if t.is_floating_point() else t.dtype) for t in plan))
