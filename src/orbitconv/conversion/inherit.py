"""Start from the trained filters of the plain network.

A filter on the group that is zero but at the identity offset lets element g see element g alone, through the plain
filter turned by g. With all its filters so, the converted network is the plain one on every turned copy of the image,
and its pooled output their mean or maximum: as far as the basis can hold the filters, and turn them.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from orbitconv.bases.exact import pixel_atoms
from orbitconv.conversion.observation import Example, observe
from orbitconv.conversion.surgery import NEVER_CALLED, Entry
from orbitconv.nn import BasisConv2d
from orbitconv.nn.flat import FlatLayer, FlatLinear

_MOST_PLANES = 64
_RIDGE = 1e-3
Moments = dict[str, Float[Tensor, "p p"]]


@torch.no_grad()
def input_moments(plain: nn.Module, example: Example) -> Moments:
    """Second moments of what each convolution reads of the example, over patches of its planes, by path."""
    found: Moments = {}

    def watch(path: str, module: nn.Module, inputs: tuple[Any, ...]) -> None:
        if isinstance(module, nn.Conv2d) and path not in found and module.kernel_size != (1, 1):
            x = inputs[0].flatten(0, 1)[:, None]
            x = x[:: max(1, len(x) // _MOST_PLANES)].double()
            (tall, wide), (down, across) = module.kernel_size, module.dilation
            margins = (down * (tall - 1) // 2, across * (wide - 1) // 2)
            patches = F.unfold(x, module.kernel_size, module.dilation, margins).movedim(1, 0).flatten(1)
            found[path] = patches @ patches.T / patches.shape[1]

    observe(plain, example, watch=watch)
    return found


@torch.no_grad()
def inherit_weights(entries: Sequence[Entry], moments: Moments) -> dict[str, float]:
    """Project the filters of the plain layers on the bases of the new ones.

    Returns the share of the square that each holds.

    The projection, at the identity, is the one of least squares in what the layer puts out on the example, where
    moments are known; else in the filter itself.
    """
    kept = {}
    for entry in (one for one in entries if one.line.kind in {"lifting", "group", "linear"}):
        plain: Any = entry.before
        for layer in entry.now.modules():
            if isinstance(layer, FlatLinear):
                _write(layer.mixing.coefficients, plain.weight[..., None])
                _copy_bias(layer.mixing, plain)
            elif isinstance(layer, FlatLayer) and isinstance(layer.layer, BasisConv2d):
                inner = layer.layer
                coefficients, share = project(inner, plain.weight, moments.get(entry.line.path))
                _write(inner.coefficients, coefficients)
                _copy_bias(inner, plain)
                kept[entry.line.path] = share
    return kept


def project(
    layer: BasisConv2d, weight: Float[Tensor, "o i ky kx"], moments: Float[Tensor, "p p"] | None
) -> tuple[Float[Tensor, "o i d"], float]:
    """Coefficients at the identity that come nearest to plain filters, and the share of the squares that they hold.

    Moments are those of the patches that the filters read.
    """
    height, width = weight.shape[-2:]
    filters = weight.double().flatten(2).flatten(0, 1)
    pixels = torch.from_numpy(pixel_atoms((height, width), layer.kernel_size)).to(filters)
    atoms = layer.basis(torch.float64)[0].flatten(1)
    metric = torch.eye(atoms.shape[1], dtype=torch.float64, device=atoms.device)
    inner = None if moments is None else moments.to(atoms)
    scale = 0.0 if inner is None else float(inner.trace()) / len(inner)
    if inner is not None and scale > 0:
        metric = pixels.T @ (inner / scale) @ pixels + _RIDGE * metric
    target = filters @ pixels
    solved = torch.linalg.solve(atoms @ metric @ atoms.T, atoms @ metric @ target.T).T
    rest = (target - solved @ atoms).square().sum() / target.square().sum().clamp(min=1e-300)
    return solved.reshape(*weight.shape[:2], -1), 1 - float(rest)


def _write(coefficients: nn.Parameter, values: Tensor) -> None:
    """Put coefficients at the identity offset, zeros elsewhere."""
    if coefficients.ndim == values.ndim:  # lifting and depthwise layers have no offsets
        coefficients.copy_(values)
    else:
        coefficients.zero_()
        coefficients[:, :, 0] = values.to(coefficients.dtype)


def _copy_bias(layer: BasisConv2d, plain: Any) -> None:
    if layer.bias is not None and plain.bias is not None:
        layer.bias.copy_(plain.bias)


def begin_anew(entries: Sequence[Entry]) -> None:
    """Reset what other layers than convolutions took over from the plain network, which belongs to other filters.

    Affine weights, slopes and running statistics begin as their classes begin them (`reset_parameters`,
    `reset_running_stats`), those of modules of users too if they have such a method. Other parameters of users, such as
    a layer scale, keep their values: only their author knows how they begin. So do modules that stay plain or are never
    called.
    """
    for entry in entries:
        if entry.line.kind in {"plain", "repeated"} or entry.line.note == NEVER_CALLED:
            continue
        for module in entry.now.modules():
            for name in ("reset_parameters", "reset_running_stats"):
                reset: Callable[[], None] | None = getattr(module, name, None)
                if reset is not None and not isinstance(module, BasisConv2d):
                    reset()
                    break
