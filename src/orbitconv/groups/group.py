"""The interface of finite groups of rotations and mirrors of the plane."""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Bool, Float, Int

from orbitconv._support.checks import check_positive


@dataclass(frozen=True)
class Group(ABC):
    """A finite group of rotations, and perhaps mirrors, about a point of the plane.

    Elements are the integers `0 ... order - 1`; 0 is the identity. Groups are small immutable values: equal when
    they are the same group, hashable, picklable, and without tensors, so no device or dtype sticks to them.

    Args:
        num_rotations: Number of rotations N; neighbours are 2 pi / N apart.

    Raises:
        TypeError: If `num_rotations` is not an integer.
        ValueError: If `num_rotations` is below one.
    """

    num_rotations: int

    def __post_init__(self) -> None:
        check_positive(type(self).__name__, num_rotations=self.num_rotations)

    @property
    @abstractmethod
    def order(self) -> int:
        """Number of elements, |G|."""

    @property
    @abstractmethod
    def name(self) -> str:
        """Short name: C8, D4."""

    @cached_property
    @abstractmethod
    def product(self) -> Int[np.ndarray, "g h"]:
        """Product table: `product[g, h]` is the element that acts as h first, then g."""

    @cached_property
    @abstractmethod
    def mirrors(self) -> Bool[np.ndarray, " g"]:
        """Whether each element mirrors the plane left to right before it rotates."""

    @cached_property
    def rotation_steps(self) -> Int[np.ndarray, " g"]:
        """Rotation of each element in steps of 2 pi / N."""
        return np.arange(self.order) % self.num_rotations

    @cached_property
    def angles(self) -> Float[np.ndarray, " g"]:
        """Rotation of each element in radians, counter-clockwise as displayed, in [0, 2 pi)."""
        return 2 * math.pi * self.rotation_steps / self.num_rotations

    @cached_property
    def inverse(self) -> Int[np.ndarray, " g"]:
        """Inverse of each element."""
        return np.argmax(self.product == 0, axis=1)

    @cached_property
    def quotient(self) -> Int[np.ndarray, "g h"]:
        """`quotient[g, h]` is g^-1 h: where a filter on the group reads from once g has acted on it."""
        return self.product[self.inverse]

    def matrix(self, g: int) -> Float[np.ndarray, "2 2"]:
        """The element as an orthogonal matrix on (row, column) offsets from the centre; exact at quarter turns.

        It takes a point to where `g` moves it. Rows count downwards.
        """
        self.check_element(g)
        cos, sin = exact_cos_sin(int(self.rotation_steps[g]), self.num_rotations)
        rotation = np.array([[cos, -sin], [sin, cos]])
        return rotation @ np.diag([1.0, -1.0 if self.mirrors[g] else 1.0])

    def check_element(self, g: int) -> None:
        """Refuse a number that is not an element of this group.

        Raises:
            ValueError: If `g` is outside `0 ... order - 1`.
        """
        if not 0 <= g < self.order:
            raise ValueError(f"{self} has the elements 0 to {self.order - 1}, got {g}.")

    def __str__(self) -> str:
        return self.name


def exact_cos_sin(step: int, num_rotations: int) -> tuple[float, float]:
    """Cosine and sine of `2 pi step / num_rotations`, without rounding at quarter turns."""
    quarter, rest = divmod(4 * (step % num_rotations), num_rotations)
    angle = math.pi / 2 * rest / num_rotations
    cos, sin = math.cos(angle), math.sin(angle)
    return ((cos, sin), (-sin, cos), (-cos, -sin), (sin, -cos))[quarter]
