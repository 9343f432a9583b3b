"""The bases of a network: one for every kernel size, all of one group."""

import copy
from collections.abc import Callable, Sequence
from typing import Any, final

from orbitconv._support.checks import Size2, as_pair
from orbitconv.bases import BasisName, ExactBasis, FilterBasis, load_basis, parse_basis_name
from orbitconv.groups import Group

BasisLike = FilterBasis | str | Callable[[Any], FilterBasis] | None
"""A basis, the name or file of one (`orbitconv.bases.load_basis`), a function of the kernel size, or None for a plain
network. Names may leave out the kernel size, as in "exact-c4"."""


@final
class KernelBases:
    """Finds the basis of every kernel size from what a user gave for a basis, as `Layers` takes it.

    1x1 layers mix fields and the group axis, and need no basis from the user. `owner` is the network, for error
    messages.

    Raises:
        TypeError: If `basis` is none of these.
        ValueError: If there is no basis of a kernel size that the network needs, two are of different groups, or a
            side is even that must be odd.
    """

    group: Group | None
    kernel_size: tuple[int, int]
    # Kernel size of the plain network to compare with: as asked for, else the usual one.
    plain_kernel_size: tuple[int, int]

    def __init__(
        self, owner: str, basis: BasisLike, kernel_size: Size2 | None, also: Sequence[Size2], odd: bool
    ) -> None:
        self.owner = owner
        self._given = _named(basis) if isinstance(basis, str) else basis
        own = (3, 3)
        if isinstance(self._given, FilterBasis | BasisName) and self._given.kernel_size is not None:
            own = self.as_size(self._given.kernel_size)
        self.plain_kernel_size = (3, 3) if kernel_size is None else self.as_size(kernel_size)
        self.kernel_size = own if kernel_size is None else self.plain_kernel_size
        self._needed = (self.kernel_size, *(self.as_size(size) for size in also))
        if odd and not all(side % 2 for size in self._needed for side in size):
            raise ValueError(f"{owner} expects kernels of odd sides, which keep the size of planes, got {self._sizes}.")
        self.group = None
        self._made: dict[tuple[int, int], FilterBasis] = {}
        if isinstance(self._given, BasisName) and own != self.kernel_size and self._given.kernel_size is not None:
            raise ValueError(
                f"{owner} expects one kernel size, got the basis {basis!r} and kernel_size {kernel_size}. Drop one."
            )
        if self._given is not None:
            self._made[self.kernel_size] = self._find(self.kernel_size)
            self.group = self._made[self.kernel_size].group
            for size in self._needed:
                self.of(size)

    def as_size(self, kernel_size: Size2) -> tuple[int, int]:
        """Height and width of a kernel that may be given by one number."""
        return as_pair(self.owner, "kernel_size", kernel_size)

    @property
    def _sizes(self) -> str:
        """The kernel sizes that are needed, in words."""
        return " and ".join(f"{height}x{width}" for height, width in dict.fromkeys(self._needed))

    def _find(self, size: tuple[int, int]) -> FilterBasis:
        """The basis of a kernel size, from what the user gave."""
        if isinstance(self._given, FilterBasis):
            basis = self._given
            group = f"{type(basis.group).__name__}({basis.group.num_rotations})"
            hint = (
                "Make all kernels of one size by the options of the network (last_kernel_size of P4CNN), or pass a "
                f"function of the kernel size, such as lambda k: ExactBasis({group}, k)."
            )
        elif isinstance(self._given, BasisName):
            basis, hint = self._of_name(self._given, size), ""
        elif callable(self._given):
            basis, hint = self._given(size[0] if size[0] == size[1] else size), "The function returned another size."
        else:
            raise TypeError(
                f"{self.owner} expects a FilterBasis, the name of one, a function from kernel size to FilterBasis, or "
                f"None for its plain twin, got {type(self._given).__name__}."
            )
        if not isinstance(basis, FilterBasis):
            raise TypeError(
                f"{self.owner} expects a function that returns a FilterBasis for a kernel size, got "
                f"{type(basis).__name__} for {size[0]}x{size[1]}."
            )
        if basis.kernel_size != size:
            height, width = basis.kernel_size
            raise ValueError(f"{self.owner} needs kernels of {self._sizes}, got a basis of {height}x{width}. {hint}")
        if self.group not in {None, basis.group}:
            raise ValueError(f"{self.owner} expects bases of one group, got {self.group} and {basis.group}.")
        return basis

    def _of_name(self, name: BasisName, size: tuple[int, int]) -> FilterBasis:
        """The basis of a kernel size and the family of a name."""
        try:
            return name(size)
        except ValueError as error:
            raise ValueError(f"{self.owner} needs kernels of {self._sizes}, got the name '{name}'. {error}") from error

    def of(self, kernel_size: Size2) -> FilterBasis:
        """The basis of a kernel size."""
        size = self.as_size(kernel_size)
        if self.group is None or size not in {*self._needed, (1, 1)}:
            raise ValueError(f"{self.owner} has no basis of {size[0]}x{size[1]} pixels: it needs {self._sizes}.")
        if size not in self._made:
            self._made[size] = ExactBasis(self.group, 1) if size == (1, 1) else self._find(size)
        return self._made[size]

    def on_meta(self) -> Callable[[Size2], FilterBasis] | None:
        """The bases by kernel size, as copies on the meta device, to try networks of other widths with.

        None for a plain network.
        """
        if self.group is None:
            return None
        copies = {size: copy.deepcopy(basis).to("meta") for size, basis in self._made.items()}
        return lambda size: copies[self.as_size(size)]


def _named(basis: str) -> FilterBasis | BasisName:
    """The basis of a file, or the parts of a name."""
    return load_basis(basis) if basis.endswith(".safetensors") else parse_basis_name(basis)
