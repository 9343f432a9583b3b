"""Which axes of a tensor hold channels, and whether a group axis behind every channel would stay behind it.

A converted network holds |G| planes for every channel, one after the other: channels stand outside, the group inside.
A `view` that puts pixels behind channels (a flattened plane in front of a linear layer), or a shuffle that puts outer
channels behind inner ones, makes another order, in which a turn no longer permutes the group. Shapes do not show it, so
the axes of the plain network are followed through every operation, as products of factors.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from orbitconv.conversion.rules import RefusalError

aten = torch.ops.aten


@dataclass(frozen=True)
class Factor:
    """A part of an axis.

    Args:
        size: Its length.
        channels: Whether it counts channels.
        last: Whether the group stands behind it, or would: for channels that were divided, only the inner part.
        group: Whether it is the group itself.
        places: Whether it counts rows or columns of a plane.
    """

    size: int
    channels: bool = False
    last: bool = False
    group: bool = False
    places: bool = False


Axes = tuple[tuple[Factor, ...], ...]
"""For every axis of a tensor, the factors that it is a product of, the outer ones first."""


def channel_axis(size: int, order: int) -> tuple[Factor, ...]:
    """An axis of channels, with the group behind them if there is one."""
    if order == 1:
        return (Factor(size, channels=True, last=True),)
    return Factor(size // order, channels=True), Factor(order, channels=True, last=True, group=True)


@dataclass(frozen=True)
class Disorder:
    """Channels in an order that takes the group apart, for a reason, with `inner` numbers for each channel and element.

    Some are wrong for planar features too (`always`).
    """

    reason: str
    inner: int
    always: bool = False


def disorder(axes: Axes) -> Disorder | None:
    """What is wrong with the order of channels, if a group axis stood behind them.

    None if it stays behind every channel.
    """
    for factors in axes:
        long = [factor for factor in factors if factor.size > 1]
        if not any(factor.channels for factor in long):
            continue
        places = [index for index, factor in enumerate(long) if factor.last]
        inner = math.prod(factor.size for factor in long[places[-1] + 1 :]) if places else 1
        if not long[-1].channels:
            return Disorder(f"it gets {inner} pixels of every channel in a row, which fixes positions.", inner)
        if not long[-1].last:
            return Disorder("it gets channels that a view has shuffled, in an order that takes the group apart.", inner)
    return None


def flattened_places(axes: Axes) -> Disorder | None:
    """What is wrong with places of a plane along the last axis, which a linear layer mixes; None if it holds none."""
    count = math.prod(factor.size for factor in axes[-1] if factor.places)
    if count == 1:
        return None
    return Disorder(f"it mixes {count} pixels of a plane, which fixes positions.", 1, always=True)


class AxesMode(TorchDispatchMode):
    """Follows the axes of feature maps while it is the active mode; what it does not know, it forgets.

    `order` is |G| in a converted network, where the group stands behind the channels, and 1 in a plain one; `is_hidden`
    is asked while an operation runs whether it is inside a layer, whose output is told by `note`.

    Raises:
        RefusalError: In a converted network, where a view cuts the group.
    """

    def __init__(self, order: int = 1, is_hidden: Callable[[], bool] = lambda: False) -> None:
        super().__init__()
        self.order, self.is_hidden = order, is_hidden
        self._known: dict[int, tuple[Tensor, Axes]] = {}  # the tensors are kept, so that no other takes their place

    def of(self, x: Tensor) -> Axes | None:
        """The axes of a tensor, if they are known."""
        found = self._known.get(id(x))
        return None if found is None else found[1]

    def holds_group(self, x: Tensor) -> bool:
        """Whether an axis of a tensor is known to hold channels and the group."""
        axes = self.of(x)
        return axes is not None and any(
            any(factor.group for factor in factors) and math.prod(factor.size for factor in factors) == side
            for factors, side in zip(axes, x.shape, strict=False)
        )

    def groups_of(self, x: Tensor) -> tuple[int, ...] | None:
        """How long a part of each axis of a tensor is the group, if its axes are known."""
        axes = self.of(x)
        return None if axes is None else tuple(math.prod(f.size for f in factors if f.group) for factors in axes)

    def note(self, y: Tensor, axis: int | None) -> None:
        """Say at which axis of a layer's output channels and group are; None if it holds no group."""
        self._known.pop(id(y), None)
        if axis is not None:
            axes: list[tuple[Factor, ...]] = [(Factor(side),) for side in y.shape]
            axes[axis] = channel_axis(y.shape[axis], self.order)
            self._known[id(y)] = y, tuple(axes)

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        output = func(*args, **(kwargs or {}))
        if self.is_hidden():
            return output
        if func.overloadpacket in _INDICES and self.order > 1:
            self._check_index(*args[:2])
        known = [x for x in tree_leaves((args, kwargs)) if isinstance(x, Tensor) and id(x) in self._known]
        for y in tree_leaves(output):
            if isinstance(y, Tensor) and y.is_floating_point():
                axes = self._after(func.overloadpacket, args, known, y)
                if axes is not None:
                    self._known[id(y)] = y, axes
                else:
                    self._known.pop(id(y), None)
        return output

    def _check_index(self, x: Tensor, dim: int | None = None) -> None:
        """Refuse the number of a channel where group elements stand between the channels."""
        axes = self.of(x)
        if axes is not None and any(f.group for factors in (axes if dim is None else [axes[dim]]) for f in factors):
            raise RefusalError(
                "it asks which channel is largest (argmax), where channels and group elements stand in a row.",
                "Return the scores, and take argmax of what the converted network returns.",
            )

    def _after(self, operation: Any, args: Any, known: list[Tensor], y: Tensor) -> Axes | None:
        """The axes of a result."""
        if operation is aten.convolution and y.ndim == 4 and (known or self.order == 1):
            return ((Factor(len(y)),), channel_axis(y.shape[1], self.order), *_planes(y))
        if not known:
            return None
        axes = self._known[id(known[0])][1]
        if operation in {aten.mm, aten.addmm, aten.linear}:
            has_channels = any(factor.channels for factor in axes[-1])
            return (*axes[:-1], channel_axis(y.shape[-1], self.order)) if has_channels else None
        if operation in _VIEWS:
            return self._regrouped(axes, y)
        if operation is aten.permute:
            return tuple(axes[dim] for dim in args[1])
        if operation in {aten.transpose, aten.t}:
            first, second = args[1:3] if len(args) > 2 else (0, 1)
            order = list(range(len(axes)))
            order[first], order[second] = order[second], order[first]
            return tuple(axes[dim] for dim in order)
        for x in known:
            if x.shape == y.shape:
                return self._known[id(x)][1]
        if operation in _CUTS and y.ndim == len(axes):
            return _cut(axes, y, self.order)
        if operation in _PLANEWISE and y.ndim == len(axes):
            kept = tuple(
                f if math.prod(one.size for one in f) == s else (Factor(s),)
                for f, s in zip(axes, y.shape[:2], strict=False)
            )
            return (*kept, *_planes(y))
        return None

    def _regrouped(self, axes: Axes, y: Tensor) -> Axes | None:
        try:
            return regroup(axes, tuple(y.shape))
        except CutGroupError:
            raise RefusalError(
                f"a view to {tuple(y.shape)} puts a part of the group into one place and the rest into another.",
                "Look for literal numbers of channels, as attention heads have, that the group does not divide.",
            ) from None


def _planes(y: Tensor) -> Axes:
    """Rows and columns of a tensor of planes."""
    return tuple((Factor(side, places=True),) for side in y.shape[2:])


class CutGroupError(Exception):
    """A view cuts the group."""


_INDICES = {aten.argmax, aten.argmin}
_VIEWS = {aten.view, aten._unsafe_view, aten.reshape, aten._reshape_alias, aten.unsqueeze, aten.squeeze}  # noqa: SLF001
_PLANEWISE = {
    aten.max_pool2d_with_indices, aten.avg_pool2d, aten._adaptive_avg_pool2d, aten.upsample_nearest2d,  # noqa: SLF001
    aten.upsample_bilinear2d, aten.mean, aten.constant_pad_nd,
}  # fmt: skip


_CUTS = {aten.slice, aten.split, aten.split_with_sizes, aten.narrow}


def _cut(axes: Axes, y: Tensor, order: int) -> Axes | None:
    """The axes of a part of a tensor; None if it holds a part of the group."""
    made = list(axes)
    for dim, factors in enumerate(axes):
        if math.prod(factor.size for factor in factors) != y.shape[dim]:
            ordinary = all(factor.channels for factor in factors) and factors[-1].last
            if any(factor.channels for factor in factors) and (not ordinary or y.shape[dim] % order):
                return None
            rest = Factor(y.shape[dim], places=any(factor.places for factor in factors))
            made[dim] = channel_axis(y.shape[dim], order) if ordinary else (rest,)
    return tuple(made)


def regroup(axes: Axes, shape: tuple[int, ...]) -> Axes | None:
    """The axes after a view to a shape; None if a factor is cut where it cannot be followed.

    Raises:
        CutGroupError: If the group is cut, or channels that stand before it.
    """
    has_group = any(factor.group for factors in axes for factor in factors)
    waiting = [factor for factors in axes for factor in factors if factor.size > 1]
    made = []
    for side in shape:
        own: list[Factor] = []
        rest = side
        while rest > 1:
            if not waiting:
                return None
            factor = waiting.pop(0)
            if rest % factor.size == 0:
                own.append(factor)
                rest //= factor.size
            elif factor.size % rest == 0 and not factor.group:
                own.append(Factor(rest, factor.channels, places=factor.places))
                waiting.insert(0, Factor(factor.size // rest, factor.channels, factor.last, places=factor.places))
                rest = 1
            elif has_group and factor.channels:
                raise CutGroupError
            else:
                return None
        made.append(tuple(_joined(own)) or (Factor(side),))
    return tuple(made)


def _joined(factors: list[Factor]) -> list[Factor]:
    """Outer and inner part of channels, side by side again, are one."""
    joined: list[Factor] = []
    for factor in factors:
        before = joined[-1] if joined else None
        if before is not None and before.channels and not before.last and factor.last and not factor.group:
            joined[-1] = Factor(before.size * factor.size, channels=True, last=True)
        else:
            joined.append(factor)
    return joined
