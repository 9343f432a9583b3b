"""Layers for features whose group axis is flattened into the channels: (batch, channels * |G|, height, width).

The order is channel-major, so that `flatten(1, 2)` of features on a group gives it as a view. Code that was written for
planar features, `torch.cat(..., 1)`, `x.chunk(2, 1)`, `x.mean((2, 3))`, `F.interpolate(x, ...)`, works on it unchanged.
"""

from typing import Any, Literal, final

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from orbitconv.nn.conv import BasisConv2d
from orbitconv.nn.group_conv import GroupConv2d
from orbitconv.nn.lifting import LiftingConv2d
from orbitconv.nn.pooling import largest

_READ_BY_OTHERS = ("stride", "padding", "dilation", "groups", "kernel_size", "output_padding", "padding_mode")


def pool_elements(x: Tensor, axis: int, order: int, reduction: str, inner: int = 1) -> Tensor:
    """Pool a flattened group axis."""
    if inner > 1:
        apart = x.unflatten(axis, (-1, order, inner))
        place = axis + 1 if axis >= 0 else -2
        pooled = largest(apart, place) if reduction == "max" else apart.mean(place)
        return pooled.flatten(axis, axis + 1) if axis >= 0 else pooled.flatten(-2)
    apart = x.unflatten(axis, (-1, order))
    return largest(apart, group_axis(axis)) if reduction == "max" else apart.mean(group_axis(axis))


def group_axis(axis: int) -> int:
    """Where the group is once the axis is split into channels and group; -1 stays the last."""
    return axis + 1 if axis >= 0 else -1


def at_each_element(module: nn.Module, x: Tensor, order: int, axis: int) -> Tensor:
    """Apply a plain module, which treats samples alike, to the features of every group element, as samples of a batch.

    Channels and group are flattened at `axis` of input and output: from the front, or -1.
    """
    samples = x.unflatten(axis, (-1, order)).movedim(group_axis(axis), 0).flatten(0, 1)
    y = module(samples).unflatten(0, (order, -1)).movedim(0, group_axis(axis))
    return y.flatten(axis, axis + 1) if axis >= 0 else y.flatten(-2)


@final
class FlatLayer(nn.Module):
    """A layer on the group, for features whose group axis is flattened into the channels.

    Options of the plain layer that it has `replaced` are offered as attributes, for code that asks. Its output may be
    pooled over the group (a gate of one channel).

    Shapes:
        (batch, channels * |G|, height, width) -> (batch, channels' * |G|, height', width')
    """

    def __init__(
        self,
        layer: nn.Module,
        order: int,
        replaced: nn.Module | None = None,
        *,
        pool: bool = False,
        reduction: Literal["max", "mean"] = "max",
    ) -> None:
        super().__init__()
        self.layer, self.order, self.pool, self.reduction = layer, order, pool, reduction
        self.lifts = isinstance(layer, LiftingConv2d)
        for name in _READ_BY_OTHERS:
            if hasattr(replaced, name):
                setattr(self, name, getattr(replaced, name))
        if isinstance(layer, BasisConv2d):
            self.in_channels = layer.in_channels * (1 if self.lifts else order)
            self.out_channels = layer.out_channels * (1 if pool else order)

    def keep_group(self) -> None:
        """Do not pool the group axis of the output."""
        if self.pool:
            self.pool, self.out_channels = False, self.out_channels * self.order

    @property
    def weight(self) -> Tensor:
        """Parameters of the layer, for code that asks for their dtype or device."""
        return next(self.layer.parameters())

    def forward(self, x: Float[Tensor, "b ig h w"], *options: Any, **named: Any) -> Float[Tensor, "b og h2 w2"]:
        """Apply the layer."""
        y = self.layer(x if self.lifts else x.unflatten(1, (-1, self.order)), *options, **named)
        return pool_elements(y.flatten(1, 2), 1, self.order, self.reduction) if self.pool else y.flatten(1, 2)


@final
class FlatLinear(nn.Module):
    """A linear layer on the group: mixes channels and the group axis, which lie flattened on the last axis.

    y[b, (o, g)] = sum over i, h of coefficients[o, i, g^-1 h] * x[b, (i, h)] + bias[o]

    A GroupConv2d of kernel size 1 holds the coefficients. The output may be pooled over the group.

    Shapes:
        (*batch, in * |G|) -> (*batch, out * |G|)
    """

    def __init__(self, mixing: GroupConv2d, *, pool: bool = False, reduction: Literal["max", "mean"] = "max") -> None:
        super().__init__()
        self.mixing, self.pool, self.reduction = mixing, pool, reduction
        self.order = mixing.group.order
        self.in_features = mixing.in_channels * self.order
        self.out_features = mixing.out_channels * (1 if pool else self.order)

    def keep_group(self) -> None:
        """Do not pool the group axis of the output."""
        if self.pool:
            self.pool, self.out_features = False, self.out_features * self.order

    @property
    def weight(self) -> Tensor:
        """The coefficients, for code that asks for their dtype or device."""
        return self.mixing.coefficients

    def forward(self, x: Float[Tensor, "*b ig"]) -> Float[Tensor, "*b og"]:
        """Mix channels and group elements."""
        bias = None if self.mixing.bias is None else self.mixing.bias.repeat_interleave(self.order)
        y = F.linear(x, self.mixing.filters().flatten(1), bias)
        return pool_elements(y, -1, self.order, self.reduction) if self.pool else y


@final
class EachElement(nn.Module):
    """A plain module, applied to the features of every group element alike, with one set of parameters.

    Norms take their statistics so, activations their slopes: what is done alike at all elements commutes with the
    action on the group axis. Elements go through the module as samples of a batch, which it must treat alike.

    Shapes:
        As the module's, with |G| times as many channels.
    """

    def __init__(self, module: nn.Module, order: int, axis: int = 1) -> None:
        super().__init__()
        self.module, self.order, self.axis = module, order, axis

    def __getattr__(self, name: str) -> Any:
        """Options of the module, for code that asks."""
        try:
            return super().__getattr__(name)
        except AttributeError:
            return getattr(super().__getattr__("module"), name)

    def forward(self, x: Tensor) -> Tensor:
        """Apply the module."""
        return at_each_element(self.module, x, self.order, self.axis)


@final
class PooledBefore(nn.Module):
    """A plain module, whose inputs are pooled over the group: what it gets are planar features.

    There is an axis of channels and group for each input, or None, and `inner` numbers for each channel and element.
    """

    def __init__(
        self, module: nn.Module, order: int, axes: tuple[int | None, ...], reduction: str = "max", inner: int = 1
    ) -> None:
        super().__init__()
        self.module, self.order, self.axes, self.reduction, self.inner = module, order, axes, reduction, inner

    def forward(self, *inputs: Any, **named: Any) -> Any:
        """Pool, then apply the module."""
        axes = (*self.axes, *[None] * (len(inputs) - len(self.axes)))
        pooled = [
            x if axis is None else pool_elements(x, axis, self.order, self.reduction, self.inner)
            for x, axis in zip(inputs, axes, strict=False)
        ]
        return self.module(*pooled, **named)


@final
class RepeatElements(nn.Module):
    """A parameter for each channel, repeated over the group: the parametrization of a scale that a module owns."""

    def __init__(self, axis: int, order: int) -> None:
        super().__init__()
        self.axis, self.order = axis, order

    def forward(self, values: Tensor) -> Tensor:
        """Repeat."""
        return values.repeat_interleave(self.order, self.axis)


@final
class Repeat(nn.Module):
    """Planar features, the same at every group element: the trivial lifting.

    Shapes:
        (batch, channels, height, width) -> (batch, channels * |G|, height, width)
    """

    def __init__(self, order: int) -> None:
        super().__init__()
        self.order = order

    def forward(self, x: Tensor) -> Tensor:
        """Repeat."""
        return x.repeat_interleave(self.order, 1)


class GroupNetwork(nn.Module):
    """A network from planar images to features that hold the group in their channels, and what pools its output."""

    def __init__(self, network: nn.Module, outputs: nn.Module) -> None:
        super().__init__()
        self.network, self.outputs = network, outputs

    def example(self) -> Any:
        """What the network may be called with, if that is known; None if not."""
        return None

    def forward(self, *inputs: Any, **named: Any) -> Any:
        """Run the network, and pool its output over the group."""
        return self.outputs(self.network(*inputs, **named))
