"""Every basis family that a group and a kernel allow, built one by one and timed."""

import time
from collections.abc import Iterator
from typing import Any, NamedTuple

from orbitconv.bases import (
    BilinearBasis,
    ExactBasis,
    FilterBasis,
    GaussianBasis,
    HarmonicBasis,
    LeastSquaresBasis,
    NearestBasis,
    ProcrustesBasis,
    SpectralBasis,
    UnitaryBasis,
    available_dimensions,
    list_bases,
    load_basis,
)
from orbitconv.groups import Group
from orbitconv.learn import Moments


class Built(NamedTuple):
    """One basis."""

    family: str
    fit: str
    basis: FilterBasis
    seconds: float


def families(group: Group, kernel_size: int, natural: Moments, whitened: Moments) -> Iterator[Built]:
    """Every family that this group and kernel allow."""
    for family, fit, build in [
        *_written_down(group, kernel_size),
        *_fitted(group, kernel_size, "cifar10", natural),
        *_fitted(group, kernel_size, "cifar10, whitened", whitened),
        *_shipped(group, kernel_size),
    ]:
        start = time.perf_counter()
        basis = build()
        yield Built(family, fit, basis, time.perf_counter() - start)


_Recipe = tuple[str, str, Any]


def _written_down(group: Group, kernel_size: int) -> Iterator[_Recipe]:
    """Bases that need no images."""
    if 4 % group.num_rotations == 0:
        yield "exact", "none", lambda: ExactBasis(group, kernel_size)
    yield "nearest", "none", lambda: NearestBasis(group, kernel_size)
    yield "nearest, grid-constant", "none", lambda: NearestBasis(group, kernel_size, border="grid-constant")
    yield "bilinear", "none", lambda: BilinearBasis(group, kernel_size)
    yield "bilinear, grid-constant", "none", lambda: BilinearBasis(group, kernel_size, border="grid-constant")
    for sigma in (0.3, 0.5):
        yield f"gaussian, sigma {sigma}", "none", lambda s=sigma: GaussianBasis(group, kernel_size, s)
    yield "harmonic", "none", lambda: HarmonicBasis(group, kernel_size)


def _fitted(group: Group, kernel_size: int, fit: str, moments: Moments) -> Iterator[_Recipe]:
    """Bases learned from images; the spectral ones and the unitary ones of every dimension they can have."""
    yield "least squares", fit, lambda: LeastSquaresBasis(group, kernel_size, moments)
    yield "procrustes", fit, lambda: ProcrustesBasis(group, kernel_size, moments)
    yield "unitary", fit, lambda: UnitaryBasis(group, kernel_size, moments)
    complete = UnitaryBasis(group, kernel_size, moments).num_atoms
    dimensions = available_dimensions(group, kernel_size, moments)
    for dimension in dimensions:
        if dimension < complete:
            yield "unitary, reduced", fit, lambda d=dimension: UnitaryBasis(group, kernel_size, moments, dimension=d)
    for dimension in dimensions:
        yield "spectral", fit, lambda d=dimension: SpectralBasis(group, kernel_size, moments, dimension=d)


def _shipped(group: Group, kernel_size: int) -> Iterator[_Recipe]:
    """Bases that come with the package."""
    for family in ("spectral", "unitary"):
        name = f"{family}-{group.name.lower()}-k{kernel_size}"
        if name in list_bases():
            yield family, "shipped", lambda n=name: load_basis(n)
