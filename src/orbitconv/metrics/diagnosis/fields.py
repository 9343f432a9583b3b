"""The ways in which a tensor of any rank can turn with the image: which axes are places, and which one the group."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from orbitconv.groups import Group, act_image, act_regular

GroupAxis = Literal["none", "axis", "minor", "directions", "vector"]


@dataclass(frozen=True)
class Field:
    """How a tensor turns.

    Args:
        planes: First of the two axes that are a plane; None where there is none.
        tokens: Axes along which the places of a square plane are flattened, perhaps after one token that is no place.
        kind: What the group does beside moving places: nothing; permute an axis of its length; permute the minor part
            of an axis of channels and group elements, (c g); shift an axis of directions; turn pairs of channels as
            vectors (rows, columns).
        axis: That axis.
    """

    planes: int | None = None
    tokens: tuple[int, ...] = ()
    kind: GroupAxis = "none"
    axis: int = 1

    def name(self, rank: int) -> str:
        """What a person calls it: "planes", or "channels last, (c g) at axis 3"."""
        if self.planes is not None:
            places = {rank - 2: "planes", rank - 3: "channels last"}.get(self.planes, f"planes at axis {self.planes}")
        elif self.tokens:
            places = "tokens" if len(self.tokens) == 1 else "attention"
        else:
            places = "invariant"
        how = {
            "none": "", "axis": f"group at axis {self.axis}", "minor": f"(c g) at axis {self.axis}",
            "directions": "directions", "vector": "vectors",
        }[self.kind]  # fmt: skip
        return how if how and places == "invariant" else ", ".join(part for part in (places, how) if part)

    def is_like(self, rank: int, other: "Field", other_rank: int) -> bool:
        """Whether two fields have places on the same axes, counted from the last, and a group of the same kind."""
        mine, its = (r - one.planes if one.planes is not None else 0 for one, r in ((self, rank), (other, other_rank)))
        return mine == its and self.has_kind_of(rank, other, other_rank)

    def has_kind_of(self, rank: int, other: "Field", other_rank: int) -> bool:  # noqa: ARG002
        """Whether two fields have as many axes of tokens, and a group of the same kind."""
        return self.kind == other.kind and len(self.tokens) == len(other.tokens)

    def turn(self, x: Tensor, group: Group, g: int) -> Tensor:
        """Transform a tensor that is such a field."""
        if self.planes is not None:
            axes = (self.planes, self.planes + 1)
            x = act_image(x.movedim(axes, (-2, -1)), group, g, padding_mode="reflect").movedim((-2, -1), axes)
        for axis in self.tokens:
            x = _turn_tokens(x.movedim(axis, -1), group, g).movedim(-1, axis)
        if self.kind == "axis":
            return act_regular(x, group, g, dim=self.axis)
        if self.kind == "minor":
            apart = x.unflatten(self.axis, (-1, group.order))
            return act_regular(apart, group, g, dim=self.axis + 1).flatten(self.axis, self.axis + 1)
        if self.kind == "directions":
            return x.index_select(self.axis, _shifted(x.shape[self.axis], group, g).to(x.device))
        if self.kind == "vector":
            matrix = torch.from_numpy(group.matrix(g)).to(x)
            pairs = x.unflatten(self.axis, (-1, 2)).movedim(self.axis + 1, -1)
            return (pairs @ matrix.mT).movedim(-1, self.axis + 1).flatten(self.axis, self.axis + 1)
        return x


def _turn_tokens(x: Tensor, group: Group, g: int) -> Tensor:
    """Turn the places that stand along the last axis."""
    first = x.shape[-1] - math.isqrt(x.shape[-1]) ** 2
    side = math.isqrt(x.shape[-1])
    places = act_image(x[..., first:].unflatten(-1, (side, side)), group, g, padding_mode="reflect").flatten(-2)
    return torch.cat([x[..., :first], places], -1) if first else places


def _shifted(channels: int, group: Group, g: int) -> Tensor:
    """Where each direction comes from: angle a goes to turn + a, mirrored to turn + half a circle - a."""
    places = torch.arange(channels)
    places = channels // 2 - places if group.mirrors[g] else places
    places = (places + channels // group.num_rotations * int(group.rotation_steps[g])) % channels
    return torch.argsort(places)


def possible_fields(shape: tuple[int, ...], group: Group, *, square: bool) -> Iterator[Field]:
    """The ways in which a tensor of this shape, the batch anywhere, may turn, the usual ones first.

    Of square images planes and tokens must be square.
    """
    rank = len(shape)
    starts = [start for start in range(rank - 2, 0, -1) if not square or shape[start] == shape[start + 1]]
    tokens = [axis for axis in range(1, rank) if square and _is_square(shape[axis])]
    places: list[tuple[int | None, tuple[int, ...]]] = []
    places += [(start, ()) for start in starts if rank >= 4]
    places += [(None, ())] if rank < 4 else []
    places += [(None, (axis,)) for axis in tokens]
    places += [(None, (axis, axis + 1)) for axis in tokens if axis + 1 in tokens and shape[axis] == shape[axis + 1]]
    places += [(None, ())] if rank >= 4 else []
    places += [(1, ())] if rank == 3 and 1 in starts else []
    for start, along in places:
        taken = {*along, *(() if start is None else (start, start + 1))}
        free = [axis for axis in range(1, rank) if axis not in taken]
        yield Field(start, along)
        yield from (Field(start, along, "axis", axis) for axis in free if shape[axis] == group.order > 1)
        yield from (Field(start, along, "minor", axis) for axis in free if _holds(shape[axis], group.order))
    for start in starts if rank == 4 else [None] if rank == 2 else []:
        if start in {None, 2} and shape[1] > group.num_rotations > 1 and shape[1] % group.num_rotations == 0:
            yield Field(start, (), "directions")
        if start in {None, 2} and shape[1] % 2 == 0:
            yield Field(start, (), "vector")


def _is_square(places: int) -> bool:
    """Whether so many places, or one less, fill a square of more than one."""
    return places > 3 and places - math.isqrt(places) ** 2 in {0, 1}


def _holds(length: int, order: int) -> bool:
    return order > 1 and length > order and length % order == 0
