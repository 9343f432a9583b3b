"""Rotations and mirrors."""

from dataclasses import dataclass
from functools import cached_property
from typing import final

import numpy as np
from jaxtyping import Bool, Int

from orbitconv.groups.group import Group


@final
@dataclass(frozen=True)
class Dihedral(Group):
    """N rotations, and each of them after a left-right mirror: 2 N elements.

    Element g < N is the counter-clockwise rotation by `2 pi g / N`; element N + g mirrors left to right first and
    rotates by `2 pi g / N` then.

    Args:
        num_rotations: Number of rotations N; the order of the group is 2 N.

    Raises:
        TypeError: If `num_rotations` is not an integer.
        ValueError: If `num_rotations` is below one.
    """

    @property
    def order(self) -> int:
        """Number of elements: 2 N."""
        return 2 * self.num_rotations

    @property
    def name(self) -> str:
        """Short name: D8."""
        return f"D{self.num_rotations}"

    @cached_property
    def product(self) -> Int[np.ndarray, "g h"]:
        """Product table: a mirror turns the rotation that comes before it the other way round."""
        step, mirror = self.rotation_steps, self.mirrors
        turned = np.where(mirror[:, None], -step, step)
        rotation = (step[:, None] + turned) % self.num_rotations
        return rotation + self.num_rotations * (mirror[:, None] ^ mirror)

    @cached_property
    def mirrors(self) -> Bool[np.ndarray, " g"]:
        """The second half of the elements mirror."""
        return np.arange(self.order) >= self.num_rotations
