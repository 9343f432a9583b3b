"""How what a converted network returns turns with the image: pooled over the group, or not."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, Literal, get_args

import torch
from jaxtyping import Float
from torch import Tensor, nn

from orbitconv._support.checks import did_you_mean
from orbitconv.conversion.normalized import normalization
from orbitconv.conversion.rules import RefusalError, field_axis
from orbitconv.groups import Group, act_regular
from orbitconv.metrics.outputs import select
from orbitconv.nn.flat import pool_elements

OutputKind = Literal["invariant", "equivariant", "regular", "vector"]
"""How channels of an output turn with the image, beside its planes.

`"invariant"`: they do not; the group is pooled. `"vector"`: pairs of them are (row, column) of a vector, which turns.
`"regular"`: they stand for directions around the circle, counter-clockwise, and are shifted. `"equivariant"`: nothing
is pooled; the group axis comes right after the channels.
"""

Kinds = OutputKind | tuple[OutputKind | tuple[OutputKind, int], ...]
"""One kind for all channels, or kinds of runs of them: `("vector", "invariant")` for two channels and the others."""

OutputChoice = Kinds | Mapping[str, Kinds]
"""Kinds for every tensor of an output, or by its place in it, such as "[0]" or "[logits]"."""


def runs_of(kinds: Kinds, channels: int) -> list[tuple[OutputKind, int]]:
    """Kinds of runs of channels, with their lengths.

    Raises:
        ValueError: If a kind is unknown, or the numbers do not make up the channels.
    """
    given = (kinds,) if isinstance(kinds, str) else tuple(kinds)
    runs: list[tuple[OutputKind, int]] = []
    for index, one in enumerate(given):
        kind, count = (one, None) if isinstance(one, str) else one
        if kind not in get_args(OutputKind):
            raise ValueError(
                f"convert expects output kinds {', '.join(get_args(OutputKind))}, got {kind!r}."
                f"{did_you_mean(str(kind), get_args(OutputKind))}"
            )
        rest = channels - sum(length for _, length in runs)
        usual = rest if index == len(given) - 1 else (2 if kind == "vector" else 1)
        runs.append((kind, usual if count is None else count))
    if sum(length for _, length in runs) != channels or any(length < 1 for _, length in runs):
        raise ValueError(f"convert expects output kinds for {channels} channels, got {runs}.")
    if any(kind == "vector" and length % 2 for kind, length in runs):
        raise ValueError(f"convert expects vectors of two channels each, got {runs}.")
    if len(runs) > 1 and any(kind == "equivariant" for kind, _ in runs):
        raise ValueError("convert expects 'equivariant' for all channels of an output or none.")
    return runs


def representation(kind: OutputKind, group: Group, channels: int) -> Float[Tensor, "g o i"]:
    """How each element acts on channels of a kind: a matrix for each.

    Raises:
        ValueError: If directions cannot be shifted by a step of the group.
    """
    if kind == "vector":
        matrices = [torch.from_numpy(group.matrix(g)) for g in range(group.order)]
        return torch.stack([torch.block_diag(*[m] * (channels // 2)) for m in matrices])
    if kind == "regular":
        if channels % group.num_rotations:
            raise ValueError(
                f"convert expects a number of directions that {group.num_rotations} divides for output 'regular' of "
                f"{group}, got {channels} channels."
            )
        step, shifts = channels // group.num_rotations, []
        for g in range(group.order):
            # A direction at angle a goes to a + turn; where the plane was mirrored before, to half a circle - a + turn.
            places = torch.arange(channels)
            places = (channels // 2 - places if group.mirrors[g] else places) + step * int(group.rotation_steps[g])
            matrix = torch.zeros(channels, channels, dtype=torch.float64)
            matrix[places % channels, torch.arange(channels)] = 1
            shifts.append(matrix)
        return torch.stack(shifts)
    return torch.eye(channels, dtype=torch.float64).expand(group.order, -1, -1)


class OutputPool(nn.Module):
    """Pool the group axis of one tensor, as its channels turn: invariant ones by `reduction`, others by their mean.

    Shapes:
        (..., channels * |G|, ...) -> (..., channels, ...), or (..., channels, |G|, ...) for `"equivariant"`
    """

    def __init__(self, kinds: Kinds, group: Group, axis: int, channels: int, reduction: str) -> None:
        super().__init__()
        self.runs, self.order, self.axis, self.reduction = runs_of(kinds, channels), group.order, axis, reduction
        for index, (kind, length) in enumerate(self.runs):
            if kind in {"vector", "regular"}:
                self.register_buffer(f"action{index}", representation(kind, group, length), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Pool."""
        if self.runs[0][0] == "equivariant":
            return x.unflatten(self.axis, (-1, self.order))
        if len(self.runs) == 1:
            return self._pool(x, 0)
        parts = x.split([length * self.order for _, length in self.runs], self.axis)
        return torch.cat([self._pool(part, index) for index, part in enumerate(parts)], self.axis)

    def _pool(self, x: Tensor, index: int) -> Tensor:
        if self.runs[index][0] == "invariant":
            return pool_elements(x, self.axis, self.order, self.reduction)
        apart = x.movedim(self.axis, -1).unflatten(-1, (-1, self.order))
        action = getattr(self, f"action{index}").to(x.dtype)
        return torch.einsum("...ig,goi->...o", apart, action).movedim(-1, self.axis) / self.order

    def act(self, x: Tensor, group: Group, g: int) -> Tensor:
        """What an element of the group does to the channels of what this returns, its places left aside."""
        if self.runs[0][0] == "equivariant":
            return act_regular(x, group, g, dim=self.axis + 1 if self.axis >= 0 else -1)
        parts = []
        for (kind, length), part in zip(self.runs, x.split([n for _, n in self.runs], self.axis), strict=True):
            matrix = representation(kind, group, length)[g].to(part)
            parts.append((part.movedim(self.axis, -1) @ matrix.mT).movedim(-1, self.axis))
        return torch.cat(parts, self.axis)

    def extra_repr(self) -> str:
        """Kinds, for `print`."""
        return f"{self.runs}, axis={self.axis}, {self.reduction}"


def kinds_at(place: str, choice: OutputChoice) -> Kinds:
    """The kinds of channels of one tensor by its place in the output.

    Invariant where a choice by place does not name it.
    """
    return choice.get(place, "invariant") if isinstance(choice, Mapping) else choice


def _check_invariant(kinds: Kinds, group: Group, place: str, shape: tuple[int, ...]) -> None:
    """Refuse kinds that turn, for a tensor without group."""
    channels = shape[1] if len(shape) > 1 else 1
    runs = runs_of(kinds, channels)
    for kind, length in runs:
        if kind in {"vector", "regular"}:
            representation(kind, group, length)
    if any(kind != "invariant" for kind, _ in runs):
        raise ValueError(
            f"convert finds no group in output{place} of shape {shape}, which therefore does not turn as {kinds!r}: "
            "what makes it is invariant, such as gates of one channel. Choose kinds by place, as in "
            "output={'[0]': 'vector'}, for tensors that a convolution makes."
        )


def _check_numbers(plain: Tensor, found: Tensor, place: str) -> None:
    """Refuse labels and masks with the group in their channels, which cannot be pooled."""
    if plain.shape != found.shape:
        raise RefusalError(
            f"output{place} of {plain.dtype} is made of channels and group elements in a row.",
            "Return the scores, and compare what the converted network returns.",
        )


def _check_normalized(plain: Tensor, pooled: Tensor, axis: int, place: str) -> None:
    """Refuse probabilities that are none any more."""
    what = normalization(plain, axis)
    if what is not None and normalization(pooled, axis) != what:
        raise RefusalError(
            f"output{place} holds {what}, which it is not any more once it is pooled over the group.",
            "Return scores, and normalize what the converted network returns; or end with torch.nn.Softmax or "
            "torch.nn.LogSoftmax, before which the group is pooled.",
        )


class Outputs(nn.Module):
    """Pool every tensor of an output that holds the group.

    There are runs of the plain network and the converted one in eval mode, and in training mode where auxiliary heads
    are called there. If `strict`, kinds that turn are refused for tensors that hold no group.

    Raises:
        RefusalError: If a tensor has another shape than one with |G| times as many channels.
        ValueError: If a kind is unknown, does not fit the channels or the tensor, or is named for a place that the
            output does not have.
    """

    def __init__(
        self,
        runs: Sequence[tuple[Any, Any]],
        choice: OutputChoice,
        group: Group,
        reduction: str,
        *,
        strict: bool = True,
    ) -> None:
        super().__init__()
        self.pools, self._names, places = nn.ModuleList(), dict[str, int](), dict[str, None]()
        for plain, found in runs:
            both = (select(output, None, "convert").items() for output in (plain, found))
            for (place, one), (_, other) in zip(*both, strict=True):
                if place in places:
                    continue
                if not one.is_floating_point():
                    _check_numbers(one, other, place)
                    continue
                places[place] = None
                kinds = kinds_at(place, choice)
                axis = field_axis(tuple(one.shape), other, group.order)
                if axis is not None:
                    self._names[place] = len(self.pools)
                    pool = OutputPool(kinds, group, axis, one.shape[axis], reduction)
                    self.pools.append(pool)
                    if strict and kinds == "invariant":
                        _check_normalized(one, pool(other), axis, place)
                elif strict and kinds != "invariant":
                    _check_invariant(kinds, group, place, tuple(one.shape))
        if isinstance(choice, Mapping) and (unknown := sorted(set(choice) - set(places))):
            raise ValueError(f"convert finds no output {', '.join(unknown)}; there are {', '.join(places)}.")

    def act(self, place: str, x: Tensor, group: Group, g: int) -> Tensor:
        """What an element of the group does to the channels of an output, whose place is given.

        Places of planes aside.
        """
        if place not in self._names:
            return x
        pool: Any = self.pools[self._names[place]]
        return pool.act(x, group, g)

    def forward(self, output: Any) -> Any:
        """Pool."""
        if "" in self._names and not self.training:
            return self.pools[self._names[""]](output)
        return self._walk(output, "")

    def _walk(self, value: Any, place: str) -> Any:
        cls: Any = value.__class__  # what a stand-in stands for, while the network is folded; its type is its own
        if isinstance(value, Tensor):
            return self.pools[self._names[place]](value) if place in self._names else value
        if isinstance(value, Mapping):
            changed = {key: self._walk(one, f"{place}[{key}]") for key, one in value.items()}
            return cls(**changed) if dataclasses.is_dataclass(value) else cls(changed)  # transformers has both in one
        if isinstance(value, tuple | list):
            parts = [self._walk(one, f"{place}[{index}]") for index, one in enumerate(value)]
            return cls(*parts) if hasattr(cls, "_fields") else cls(parts)
        if dataclasses.is_dataclass(value) and not isinstance(value, type):
            fields = [one.name for one in dataclasses.fields(value)]
            return dataclasses.replace(value, **{n: self._walk(getattr(value, n), f"{place}[{n}]") for n in fields})
        return value
