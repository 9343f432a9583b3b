"""The basis of every kernel size that a network has, odd or even, from 1x1 to the patches of a transformer."""

import functools
from collections.abc import Callable
from typing import Any, final

import torch
from jaxtyping import Float
from torch import Tensor

from orbitconv.bases import ExactBasis, FilterBasis, HarmonicBasis, list_bases, load_basis, parse_basis_name
from orbitconv.bases.exact import enclosing_window
from orbitconv.bases.filter_basis import FixedBasis
from orbitconv.bases.spectral import SpectralBasis, available_dimensions
from orbitconv.groups import Group
from orbitconv.learn import measure_moments

BasisChoice = str | FilterBasis | Callable[[Any], FilterBasis]
"""Family of bases, name or file of one, a basis, or a function from the kernel size to one."""

_FIELDS = 48
"""Random images that a basis is fitted to whose size does not come with the package."""


@final
class KernelSizes:
    """Finds a basis for every kernel size.

    A family serves every size: 1x1 has one atom; what comes with the package is taken; other sizes of groups of
    quarter turns have the exact basis, whose span is the same; other sizes of other groups are fitted in closed form
    to random images with the spectrum of photographs (`fitted_basis`).

    Raises:
        TypeError: If `basis` is of another type.
        ValueError: If it is of another group.
    """

    def __init__(self, group: Group, basis: BasisChoice) -> None:
        self.group, self._given = group, basis
        self._made: dict[tuple[int, int], FilterBasis] = {}
        if isinstance(basis, str) and not basis.endswith(".safetensors"):
            named = basis if "-" in basis else f"{basis}-{group.name.lower()}"
            self._given = parse_basis_name(named)
            if self._given.group != group:
                raise ValueError(
                    f"convert expects a basis of {group}, got {basis!r}, which is one of {self._given.group}."
                )
        elif isinstance(basis, str):
            self._given = load_basis(basis)
        elif not callable(basis):
            raise TypeError(
                "convert expects a family of bases such as 'spectral', a basis, or a function from the kernel size to "
                f"one, got {type(basis).__name__}."
            )

    def __str__(self) -> str:
        if isinstance(self._given, FilterBasis):
            return f"{type(self._given).__name__}({self._given.extra_repr()})"
        family = getattr(self._given, "family", None)
        return "bases of a function" if family is None else f"{family} bases"

    def of(self, kernel_size: tuple[int, int]) -> FilterBasis:
        """The basis of a plain kernel's height and width, the same object for every layer of this size.

        A rectangle lives in the enclosing square where the group has quarter turns.

        Raises:
            ValueError: If what the user gave has no basis of this size.
        """
        window = enclosing_window("convert", self.group, kernel_size)
        if window not in self._made:
            self._made[window] = self._find(window)
        return self._made[window]

    def _find(self, window: tuple[int, int]) -> FilterBasis:
        height, width = window
        if window == (1, 1):
            return ExactBasis(self.group, 1)
        if isinstance(self._given, FilterBasis):
            if self._given.kernel_size != window or self._given.group != self.group:
                raise ValueError(
                    f"convert needs a basis of {self.group} with {height}x{width} pixels, got one of "
                    f"{self._given.group} with {self._given.kernel_size[0]}x{self._given.kernel_size[1]}. Name a "
                    "family, such as basis='spectral', or pass a function of the kernel size."
                )
            return self._given
        if hasattr(self._given, "family"):
            return self._of_family(self._given, window)
        found = self._given(height if height == width else window)  # pyright: ignore[reportCallIssue]
        if not isinstance(found, FilterBasis) or found.kernel_size != window or found.group != self.group:
            raise ValueError(
                f"convert expects a function that returns a basis of {self.group} with {height}x{width} pixels, got "
                f"{found!r}."
            )
        return found

    def _of_family(self, name: Any, window: tuple[int, int]) -> FilterBasis:
        family, side = name.family, window[0]
        if window[0] != window[1]:
            return ExactBasis(self.group, window)  # only groups of half turns keep rectangles
        if family not in {"spectral", "unitary"} or f"{family}-{self.group.name.lower()}-k{side}" in list_bases():
            return name(side)
        if 4 % self.group.num_rotations == 0:
            return ExactBasis(self.group, side)
        return fitted_basis(self.group, side)


@functools.lru_cache(maxsize=64)
def fitted_basis(group: Group, kernel_size: int) -> FixedBasis:
    """A spectral basis of any size, fitted in closed form to random images with the spectrum of photographs.

    Photographs have amplitudes that fall with the frequency, as 1 / f, at all orientations alike; second moments, which
    are all that the fit sees, know no more of them. It has as many atoms as circular harmonics of its size have, or the
    next larger number that pairs of atoms make up; the same numbers on every call.

    Source: Field (1987), Relations between the statistics of natural images and the response properties of cells.
    """
    moments = measure_moments(_random_images(max(64, 6 * kernel_size)), group, kernel_size)
    sizes = available_dimensions(group, kernel_size, moments)
    wanted = HarmonicBasis(group, kernel_size).num_atoms
    return SpectralBasis(group, kernel_size, moments, dimension=next((s for s in sizes if s >= wanted), sizes[-1]))


def _random_images(side: int) -> Float[Tensor, "b 1 h w"]:
    """Gaussian images whose amplitude falls as 1 / f, low-passed against aliasing."""
    draw = torch.Generator().manual_seed(0)
    white = torch.randn(_FIELDS, 1, side, side, generator=draw, dtype=torch.float64)
    frequency = torch.fft.fftfreq(side, dtype=torch.float64)
    radius = torch.hypot(frequency[:, None], frequency)
    amplitude = torch.exp(-((4 * radius) ** 2)) / radius.clamp(min=1 / side)
    images = torch.fft.ifft2(torch.fft.fft2(white) * amplitude).real
    return (images / images.std()).float()
