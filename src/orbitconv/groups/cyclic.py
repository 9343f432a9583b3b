"""Rotations only."""

from dataclasses import dataclass
from functools import cached_property
from typing import final

import numpy as np
from jaxtyping import Bool, Int

from orbitconv.groups.group import Group


@final
@dataclass(frozen=True)
class Cyclic(Group):
    """The N rotations by multiples of 2 pi / N: C1 (none), C4 (quarter turns), C8, ...

    Element g is the counter-clockwise rotation by `2 pi g / N`, as the image is displayed.

    Args:
        num_rotations: The order N of the group.

    Raises:
        TypeError: If `num_rotations` is not an integer.
        ValueError: If `num_rotations` is below one.
    """

    @property
    def order(self) -> int:
        """Number of elements: N."""
        return self.num_rotations

    @property
    def name(self) -> str:
        """Short name: C8."""
        return f"C{self.num_rotations}"

    @cached_property
    def product(self) -> Int[np.ndarray, "g h"]:
        """Product table: angles add."""
        g = np.arange(self.order)
        return (g[:, None] + g) % self.order

    @cached_property
    def mirrors(self) -> Bool[np.ndarray, " g"]:
        """No element mirrors."""
        return np.zeros(self.order, dtype=bool)
