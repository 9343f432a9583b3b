"""What their feature maps are: the group, the order of its elements, and trivial or regular fields."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from orbitconv.groups import Cyclic, Dihedral, Group
from orbitconv.interop.refusal import Place

_TOLERANCE = 1e-5
"""Their matrices come in float32."""

_TO_XY = np.array([[0.0, 1.0], [-1.0, 0.0]])
"""From our offsets (row, column), rows downwards, to theirs (x, y), y upwards."""


@dataclass(frozen=True)
class Fields:
    """A feature map of one kind of field.

    Args:
        group: The group, in our order.
        is_regular: Whether the fields are regular (a group axis) or trivial (planar).
        count: Number of fields, which is our number of channels.
        order: Where each element of ours stands in a field of theirs; one zero for trivial fields.
    """

    group: Group
    is_regular: bool
    count: int
    order: Int[np.ndarray, " g"]

    @property
    def size(self) -> int:
        """Planes of one field."""
        return len(self.order)


def read_fields(place: Place, field_type: Any) -> Fields:
    """Read a field type."""
    space, kinds = field_type.gspace, {kind.name: kind for kind in field_type.representations}
    group, elements = read_group(place, space)
    if len(kinds) > 1:
        raise place.refusal(
            f"its fields are of several kinds ({', '.join(sorted(kinds))}), and a feature map here has one: all "
            "trivial, or all regular."
        )
    ((name, kind),) = kinds.items()
    matrices = np.stack([np.atleast_2d(np.asarray(kind(element), dtype=float)) for element in elements])
    count = len(field_type.representations)
    is_trivial = matrices.shape[1] == 1 and np.allclose(matrices, 1, atol=_TOLERANCE)
    if is_trivial and (group.order > 1 or name != "regular"):
        return Fields(group, False, count, np.zeros(1, dtype=int))
    order = np.argmax(matrices[:, :, 0], axis=1)
    if matrices.shape[1] != group.order or not _is_regular(group, matrices, order):
        raise place.refusal(
            f"its fields of the kind {name!r}, of size {matrices.shape[1]} for {group}, have no counterpart. Trivial "
            "and regular fields have one."
        )
    return Fields(group, True, count, order)


def _is_regular(group: Group, matrices: Float[np.ndarray, "g n n"], order: Int[np.ndarray, " g"]) -> bool:
    """Whether element g takes the place of h to that of g h, for all g and h."""
    expected = np.zeros_like(matrices)
    for g in range(group.order):
        expected[g, order[group.product[g]], order] = 1
    return np.allclose(matrices, expected, atol=_TOLERANCE)


def read_group(place: Place, space: Any) -> tuple[Group, list[Any]]:
    """Read the group of a space by what its elements do to the plane."""
    order = space.fibergroup.order()
    if space.dimensionality != 2 or order < 1:
        raise place.refusal(f"{space.name} is no finite group of the plane. C_N and D_N have a counterpart.")
    elements = list(space.fibergroup.elements)
    theirs = np.stack([_action(place.library, space, element) for element in elements])
    turns = int((np.linalg.det(theirs) > 0).sum())
    group = Cyclic(order) if turns == order else Dihedral(order // 2)
    ours = np.stack([_TO_XY @ group.matrix(g) @ _TO_XY.T for g in range(order)])
    same = np.abs(ours[:, None] - theirs).max((2, 3)) < _TOLERANCE
    if not (same.sum(1) == 1).all():
        raise place.refusal(
            f"the elements of {space.name} are not those of {group}, whose mirrors are a left-right mirror and its "
            "turns. Take the axis pi / 2, which is the default."
        )
    return group, [elements[index] for index in same.argmax(1)]


def _action(library: str, space: Any, element: Any) -> Float[np.ndarray, "2 2"]:
    """What an element does to points (x, y)."""
    if library == "escnn":
        return np.asarray(space.basespace_action(element), dtype=float)
    # e2cnn keeps no matrices: an element is a mirror at the axis (or none), then turns.
    axis, turns = getattr(space, "axis", None), space.fibergroup.order()
    if axis is None:
        return _turn(2 * math.pi * element / turns)
    mirrors, step = element if isinstance(element, tuple) else (element, 0)
    mirror = _turn(2 * axis) @ np.diag([1.0, -1.0]) if mirrors else np.eye(2)
    return _turn(2 * math.pi * step / (turns // 2)) @ mirror


def _turn(angle: float) -> Float[np.ndarray, "2 2"]:
    """The counter-clockwise turn of points (x, y)."""
    return np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
