"""Each layer as plain torch modules: same input, same output, constant filters."""

import copy
import math
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from orbitconv.nn.conv import BasisConv2d
from orbitconv.nn.dropout import GroupDropout, GroupDropout2d
from orbitconv.nn.flat import EachElement, FlatLayer, FlatLinear, GroupNetwork, PooledBefore, Repeat
from orbitconv.nn.folding.parts import (
    Bispectrum,
    Blur,
    Gather,
    OnPlanes,
    OnSamples,
    OverFlatGroup,
    OverGroup,
    PixelNorm,
    RepeatPlanes,
    ResampledReLU,
    ShortenedPairs,
    Succession,
    TransposedOnPlanes,
    TripleCorrelation,
    Unchanged,
    UpsampleTo,
)
from orbitconv.nn.group_conv import GroupConv2d
from orbitconv.nn.group_conv_transpose import GroupConvTranspose2d
from orbitconv.nn.hexagonal import HexagonalBatchNorm2d, HexagonalMask, HexagonalPool, ToHexagonal
from orbitconv.nn.invariants import GroupBispectrum, GroupTripleCorrelation
from orbitconv.nn.lifting import LiftingConv2d
from orbitconv.nn.nonlinearities import FilteredReLU, PairNormReLU
from orbitconv.nn.norm import (
    GroupBatchNorm2d,
    GroupGroupNorm2d,
    GroupInstanceNorm2d,
    GroupLayerNorm2d,
    GroupScaleNorm2d,
)
from orbitconv.nn.orbit_layout import OrbitLayout
from orbitconv.nn.orbit_linear import OrbitLinear
from orbitconv.nn.pooling import BlurPool2d, GroupAvgPool2d, GroupBlurPool2d, GroupMaxPool2d, GroupPool
from orbitconv.nn.restriction import GroupRestriction
from orbitconv.nn.separable import DepthwiseGroupConv2d, SeparableGroupConv2d
from orbitconv.nn.upsampling import upsample_to

Rule = Callable[[Any], nn.Module]
FunctionRule = Callable[[], nn.Module]


def plain_lifting(layer: LiftingConv2d) -> nn.Module:
    """A convolution whose output channels are split into channels and group."""
    return nn.Sequential(layer.to_conv2d(), _split_group(layer))


def plain_group_conv(layer: GroupConv2d | DepthwiseGroupConv2d) -> nn.Module:
    """A convolution between flattened planes."""
    return nn.Sequential(nn.Flatten(1, 2), layer.to_conv2d(), _split_group(layer))


def plain_transposed(layer: GroupConvTranspose2d) -> nn.Module:
    """A transposed convolution between flattened planes."""
    return TransposedOnPlanes(layer.to_conv_transpose2d(), _split_group(layer))


def plain_separable(layer: SeparableGroupConv2d) -> nn.Module:
    """A depthwise and a 1x1 convolution between flattened planes; channels that mix last do so in volumes."""
    steps = [nn.Flatten(1, 2), layer.spatial.to_conv2d(), layer.mixing.to_conv2d(), _split_group(layer.mixing)]
    if layer.channels is not None:
        weight, bias = layer.channels.weight.unsqueeze(-1), layer.channels.bias
        volume = nn.Conv3d(layer.in_channels, layer.out_channels, 1, bias=bias is not None, device="meta")
        steps.append(_with_state(volume, weight, bias))
    return nn.Sequential(*steps)


def plain_batch_norm(layer: GroupBatchNorm2d) -> nn.Module:
    """The batch norm of volumes, with the group axis as depth."""
    plain = nn.BatchNorm3d(
        layer.num_features, layer.eps, layer.momentum, layer.affine, layer.track_running_stats, device="meta"
    )
    return _with_state_of(plain, layer)


def plain_scale_norm(layer: GroupScaleNorm2d) -> nn.Module:
    """The batch norm of volumes whose running mean is zero."""
    plain = nn.BatchNorm3d(layer.num_features, layer.eps, affine=layer.weight is not None, device="meta")
    state = {name: value for name, value in layer.state_dict().items() if name != "running_square"}
    square = layer.running_square
    state |= {"running_mean": torch.zeros_like(square), "running_var": square}
    state["num_batches_tracked"] = torch.tensor(0, device=square.device)
    plain.load_state_dict({name: value.detach().clone() for name, value in state.items()}, assign=True)
    return plain


def plain_instance_norm(layer: GroupInstanceNorm2d) -> nn.Module:
    """A group norm whose blocks are single channels; with running statistics, in eval mode, a batch norm."""
    channels = layer.num_features
    if layer.track_running_stats:
        return _with_state_of(nn.BatchNorm3d(channels, layer.eps, affine=layer.affine, device="meta"), layer)
    return _with_state_of(nn.GroupNorm(channels, channels, layer.eps, layer.affine, device="meta"), layer)


def plain_group_norm(layer: GroupGroupNorm2d) -> nn.Module:
    """The group norm of volumes."""
    plain = nn.GroupNorm(layer.num_groups, layer.num_channels, layer.eps, layer.affine, device="meta")
    return _with_state_of(plain, layer)


def plain_layer_norm(layer: GroupLayerNorm2d) -> nn.Module:
    """The layer norm of pixels, written out."""
    return PixelNorm(layer.weight, layer.bias, layer.eps)


def plain_hexagonal_norm(layer: HexagonalBatchNorm2d) -> nn.Module:
    """The batch norm, and the mask behind it."""
    return nn.Sequential(plain_batch_norm(layer.norm), layer.mask.points)


def refuse_resampling(layer: ToHexagonal) -> nn.Module:
    """How pictures become axial arrays depends on their size."""
    raise TypeError(
        f"fold has no plain module for {type(layer).__name__}, whose arithmetic depends on the size of the pictures. "
        "Fold the layers behind it, and give them to_hexagonal(pictures).planes()."
    )


def plain_restriction(layer: GroupRestriction) -> nn.Module:
    """A gather along the group axis, whose cosets become channels."""
    subgroup = layer.subgroup.order
    return nn.Sequential(Gather(2, layer.index), nn.Unflatten(2, (-1, subgroup)), nn.Flatten(1, 2))


def plain_layout(layer: OrbitLayout) -> nn.Module:
    """A gather or a matrix product, and the group axes."""
    if layer.rows is None:
        assert layer.index is not None
        return nn.Sequential(Gather(-1, layer.index), nn.Unflatten(-1, layer.orders))
    return nn.Sequential(_linear(layer.rows, None), nn.Unflatten(-1, layer.orders))


def plain_orbit_linear(layer: OrbitLinear) -> nn.Module:
    """Local filters: a convolution on the layout. Dense ones: a linear layer, with every transformed copy in a row."""
    to_features = (nn.Flatten(1), nn.Unflatten(1, (layer.in_channels, layer.num_features)))
    if layer.is_local:
        assert layer.layout is not None
        return nn.Sequential(*to_features, plain_layout(layer.layout), _window(layer))
    with torch.no_grad():
        size = layer.in_channels * layer.num_features
        units = torch.eye(size, dtype=torch.float64, device=layer.weight.device)
        wide = copy.deepcopy(layer).double()
        wide.bias = None
        matrix = wide(units.unflatten(1, (layer.in_channels, layer.num_features))).flatten(1).T.to(layer.weight)
        bias = None if layer.bias is None else layer.bias.repeat_interleave(math.prod(layer.orders))
    return nn.Sequential(nn.Flatten(1), _linear(matrix, bias), nn.Unflatten(1, (layer.out_channels, *layer.orders)))


def plain_flat(layer: FlatLayer) -> nn.Module:
    """Between flattened features a convolution stays one, and batch norm with running statistics is one of planes."""
    inner, order = layer.layer, layer.order
    if isinstance(inner, GroupConvTranspose2d):
        plain: nn.Module = inner.to_conv_transpose2d()
    elif isinstance(inner, BasisConv2d):
        plain = inner.to_conv2d()
    elif isinstance(inner, GroupBatchNorm2d) and inner.track_running_stats:
        plain = nn.BatchNorm2d(
            inner.num_features * order,
            inner.eps,
            inner.momentum,
            inner.affine,
            inner.track_running_stats,
            device="meta",
        )
        state = {n: v.repeat_interleave(order) if v.ndim else v.clone() for n, v in inner.state_dict().items()}
        plain.load_state_dict(state, assign=True)
    else:
        inner = plain_batch_norm(inner) if isinstance(inner, GroupBatchNorm2d) else inner
        plain = nn.Sequential(nn.Unflatten(1, (-1, order)), inner, nn.Flatten(1, 2))
    return nn.Sequential(plain, OverFlatGroup(order, 1, layer.reduction)) if layer.pool else plain


def plain_flat_linear(layer: FlatLinear) -> nn.Module:
    """A linear layer between flattened features."""
    bias = layer.mixing.bias
    with torch.no_grad():
        weight = layer.mixing.filters().flatten(1)
    plain = _linear(weight, None if bias is None else bias.repeat_interleave(layer.order))
    return nn.Sequential(plain, OverFlatGroup(layer.order, -1, layer.reduction)) if layer.pool else plain


def plain_pooled_before(layer: PooledBefore) -> nn.Module:
    """The pool of the only input, and the module; refuses more inputs, or numbers in a row for each channel."""
    if len(layer.axes) != 1 or layer.inner != 1:
        raise TypeError(
            f"fold has no plain module for {type(layer).__name__} around {type(layer.module).__name__}, which has "
            "several inputs or a flattened plane. Take plain() of the converted network instead."
        )
    (axis,) = layer.axes
    return (
        layer.module if axis is None else nn.Sequential(OverFlatGroup(layer.order, axis, layer.reduction), layer.module)
    )


def plain_group_network(network: GroupNetwork) -> nn.Module:
    """The network, and what pools its output."""
    one = isinstance(network.example(), Tensor | None)
    return (nn.Sequential if one else Succession)(network.network, network.outputs)


def _plane_rule(planar: Callable[..., nn.Module]) -> Rule:
    """The rule of pooling over the plane, from the class of the planar module."""
    return lambda layer: OnPlanes(planar(layer.kernel_size, layer.stride, layer.padding))


RULES: Mapping[type[nn.Module], Rule] = {
    LiftingConv2d: plain_lifting,
    GroupConv2d: plain_group_conv,
    DepthwiseGroupConv2d: plain_group_conv,
    GroupConvTranspose2d: plain_transposed,
    SeparableGroupConv2d: plain_separable,
    GroupBatchNorm2d: plain_batch_norm,
    GroupInstanceNorm2d: plain_instance_norm,
    GroupScaleNorm2d: plain_scale_norm,
    GroupGroupNorm2d: plain_group_norm,
    GroupLayerNorm2d: plain_layer_norm,
    GroupMaxPool2d: _plane_rule(nn.MaxPool2d),
    GroupAvgPool2d: _plane_rule(nn.AvgPool2d),
    GroupBlurPool2d: lambda _: OnPlanes(Blur()),
    BlurPool2d: lambda _: Blur(),
    HexagonalMask: lambda layer: layer.points,
    HexagonalBatchNorm2d: plain_hexagonal_norm,
    HexagonalPool: lambda layer: layer.windows,
    ToHexagonal: refuse_resampling,
    GroupPool: lambda layer: OverGroup(layer.reduction),
    GroupBispectrum: lambda layer: Bispectrum(torch.tensor(layer.waves, dtype=torch.float64), layer.eps),
    GroupTripleCorrelation: lambda layer: TripleCorrelation(layer.shifts, layer.pairs, layer.eps),
    FilteredReLU: lambda _: ResampledReLU(),
    PairNormReLU: lambda layer: ShortenedPairs(layer.threshold, layer.eps),
    GroupDropout: lambda _: Unchanged(),
    GroupDropout2d: lambda _: Unchanged(),
    GroupRestriction: plain_restriction,
    FlatLayer: plain_flat,
    FlatLinear: plain_flat_linear,
    EachElement: lambda layer: OnSamples(layer.module, layer.order, layer.axis),
    PooledBefore: plain_pooled_before,
    Repeat: lambda layer: RepeatPlanes(layer.order),
    GroupNetwork: plain_group_network,
    OrbitLayout: plain_layout,
    OrbitLinear: plain_orbit_linear,
}
"""The rule of every layer of the library."""

FUNCTION_RULES: Mapping[Callable[..., Any], FunctionRule] = {upsample_to: UpsampleTo}
"""Modules that do what the functions of the library do that branch on shapes."""


def _split_group(layer: BasisConv2d) -> nn.Unflatten:
    return nn.Unflatten(1, (layer.out_channels, layer.group.order))


def _linear(weight: Tensor, bias: Tensor | None) -> nn.Module:
    """A linear layer of given weights."""
    return _with_state(nn.Linear(weight.shape[1], weight.shape[0], bias is not None, device="meta"), weight, bias)


def _with_state(plain: nn.Module, weight: Tensor, bias: Tensor | None) -> nn.Module:
    """A module built on the meta device (so that torch draws no random weights), with copies of these."""
    state = {"weight": weight} if bias is None else {"weight": weight, "bias": bias}
    plain.load_state_dict({name: value.detach().clone() for name, value in state.items()}, assign=True)
    return plain


def _with_state_of(plain: nn.Module, layer: nn.Module) -> nn.Module:
    """A module built on the meta device, with copies of the tensors of a layer."""
    plain.load_state_dict(copy.deepcopy(layer.state_dict()), assign=True)
    return plain


def _window(layer: OrbitLinear) -> nn.Module:
    """The convolution on the group axes that local filters are."""
    convolution = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}[len(layer.orders)]
    side = layer.weight.shape[-1]
    plain = convolution(
        layer.in_channels,
        layer.out_channels,
        side,
        padding=side // 2,
        bias=layer.bias is not None,
        padding_mode=layer.padding_mode,
        device="meta",
    )
    return _with_state(plain, layer.weight, layer.bias)
