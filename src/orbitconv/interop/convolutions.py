"""Their convolutions as layers here, and back."""

from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from orbitconv.interop.fields import Fields, read_fields
from orbitconv.interop.kernels import Kernels, read_basis, read_coefficients, solve_weights
from orbitconv.interop.refusal import Place
from orbitconv.nn import GroupConv2d, GroupPool, LiftingConv2d

_STALE = 1e-4
"""Difference between a kept filter and the weights, in parts of its norm, that rounding does not make."""


def read_conv(place: Place) -> nn.Module:
    """R2Conv: a lifting or a group convolution with the basis of its kernels.

    To trivial fields, where the kernel is that of all elements at once, a mean over the group follows.
    """
    theirs: Any = place.module
    kernels, weights = _read_kernels(place), theirs.weights.detach()
    basis = read_basis(place, kernels)
    _check_kept(place, kernels)
    ours = (GroupConv2d if kernels.inputs.is_regular else LiftingConv2d)(
        kernels.inputs.count * theirs.groups,
        kernels.outputs.count,
        basis,
        theirs.stride,
        theirs.padding,
        theirs.dilation,
        theirs.groups,
        theirs.bias is not None,
        theirs.padding_mode,
        weights.device,
        weights.dtype,
    )
    coefficients = read_coefficients(kernels, weights.cpu().double().numpy(), basis)
    with torch.no_grad():
        ours.coefficients.copy_(torch.from_numpy(coefficients).view_as(ours.coefficients))
        ours.coefficients.requires_grad_(theirs.weights.requires_grad)
        if ours.bias is not None:
            ours.bias.copy_((theirs.bias_expansion @ theirs.bias)[:: kernels.outputs.size])
            ours.bias.requires_grad_(theirs.bias.requires_grad)
    return ours if kernels.outputs.is_regular else nn.Sequential(ours, GroupPool("mean"))


@torch.no_grad()
def write_conv(place: Place, ours: nn.Module) -> None:
    """The way back: weights of R2Conv from a layer that `read_conv` made."""
    theirs: Any = place.module
    kernels = _read_kernels(place)
    layer: Any = ours[0] if isinstance(ours, nn.Sequential) else ours
    inputs, outputs = kernels.inputs, kernels.outputs
    expected = GroupConv2d if inputs.is_regular else LiftingConv2d
    wanted = (
        f"{expected.__name__} {inputs.count * theirs.groups} to {outputs.count}, {outputs.group}, {theirs.kernel_size}"
    )
    given = type(layer).__name__
    if isinstance(layer, LiftingConv2d | GroupConv2d):
        given += f" {layer.in_channels} to {layer.out_channels}, {layer.group}, {layer.kernel_size[0]}"
    if wanted != given:
        raise place.refusal(
            f"the layer given is {given} (channels, group, kernel size), and {wanted} was expected: that of the "
            "network which this one was converted to, also after training."
        )
    if (layer.bias is None) != (theirs.bias is None):
        raise place.refusal("one of the two layers has a bias, and the other has none.")
    filters = layer.filters().cpu().double().numpy()
    order = outputs.group.order
    split = filters.reshape(outputs.count, order, inputs.count, inputs.size, kernels.side**2)
    by_element = split[..., np.argsort(inputs.order), :].swapaxes(1, 2)  # o i a c p
    if outputs.is_regular:
        by_element = by_element[:, :, np.argsort(outputs.order)]
    else:
        by_element = by_element.mean(2, keepdims=True)
    theirs.weights.copy_(torch.from_numpy(solve_weights(place, kernels, by_element)))
    if layer.bias is not None:
        theirs.bias.copy_(torch.linalg.pinv(theirs.bias_expansion) @ layer.bias.repeat_interleave(outputs.size))
    if not theirs.training:  # it keeps its filter until it has been in training again
        theirs.train()
        theirs.eval()


def _read_kernels(place: Place) -> Kernels:
    """The kernels that the layer combines."""
    theirs: Any = place.module
    inputs, outputs = read_fields(place, theirs.in_type), read_fields(place, theirs.out_type)
    ((_, block),) = theirs.basisexpansion.named_children()
    per_block = Fields(inputs.group, inputs.is_regular, inputs.count // theirs.groups, inputs.order)
    return Kernels(block.sampled_basis.cpu().double().numpy(), per_block, outputs, theirs.kernel_size)


def _check_kept(place: Place, kernels: Kernels) -> None:
    """Refuse a layer in evaluation mode whose filter is of other weights than it has."""
    theirs: Any = place.module
    kept: Tensor | None = None if theirs.training else getattr(theirs, "filter", None)
    if kept is None:
        return
    weights = theirs.weights.detach().cpu().double().numpy().reshape(-1, kernels.inputs.count, len(kernels.sampled))
    expanded: Float[np.ndarray, "o a i c p"] = np.einsum("oib,bacp->oaicp", weights, kernels.sampled)
    difference = np.linalg.norm(expanded.ravel() - kept.detach().cpu().double().numpy().ravel())
    if difference > _STALE * np.linalg.norm(expanded):
        raise place.refusal(
            "the filter that it keeps in evaluation mode is not that of its weights, which were edited after eval(). "
            "Call train() and eval() on the network, and convert it again."
        )
