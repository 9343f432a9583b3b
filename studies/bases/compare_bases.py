"""All basis families compared on images that none of them was fitted to."""

import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from orbitconv._support.checks import check_positive, check_sizes
from orbitconv._support.progress import ProgressCallback, silent
from orbitconv.bases import (
    BilinearBasis,
    ExactBasis,
    FilterBasis,
    FixedBasis,
    GaussianBasis,
    HarmonicBasis,
    LeastSquaresBasis,
    NearestBasis,
    ProcrustesBasis,
    SpectralBasis,
    TabulatedBasis,
    UnitaryBasis,
    available_dimensions,
    list_bases,
    load_basis,
    parse_basis_name,
)  # fmt: skip  # fmt: skip
from orbitconv.data import grey_tiles, load, sample_pictures
from orbitconv.groups import Cyclic, Group, exact_elements, grid_permutation, parse_group
from orbitconv.learn import Moments, measure_moments
from orbitconv.metrics import basis_equivariance_error, condition_number, group_law_error, unitarity_error
from orbitconv.records.command import command_of, settings_of
from orbitconv.records.record import Record
from studies.base.peers import peer_bases

_PICTURES = ("photographs", "textures")


_Recipe = tuple[str, str, Any]


class Built(NamedTuple):
    """One basis."""

    family: str
    fit: str
    basis: FilterBasis
    seconds: float


@dataclass(frozen=True, kw_only=True)
class CompareBases:
    """Compare all basis families on images that none of them was fitted to.

    Prints a table, and writes the record and a figure to runs/bases.
    """

    group: str = "c8"
    """Group: c8, d6, ..."""
    kernel_sizes: tuple[int, ...] = (3, 5, 7)
    """Sides of the kernels, in pixels."""
    fit_images: int = 2000
    """CIFAR-10 training images to fit the learned bases to."""
    test_images: int = 2000
    """CIFAR-10 test images to measure on."""
    orders: int = 0
    """Also compare the unitary basis with plain Procrustes for every cyclic group up to this order."""
    orders_images: int = 500
    """Images to fit to, and images to test on, in that comparison."""
    bases: tuple[str, ...] = ()
    """Further bases to compare, by name or as .safetensors files, such as those that train-basis writes."""
    photographs: bool = True
    """Measure on photographs and on pictures of textures of 96 pixels too (they come with scikit-image)."""
    out: Path = Path("runs/bases")
    """Folder for bases.json and the figure."""
    overwrite: bool = False
    """Replace a result that is there."""
    data_dir: Path | None = None
    """Folder with the data sets; by default ORBITCONV_DATA, then the user's cache, then a download."""
    results: Path | None = None
    """Write the record to this JSON file too."""

    def __post_init__(self) -> None:
        check_positive(
            "compare-bases", fit_images=self.fit_images, test_images=self.test_images, orders_images=self.orders_images
        )
        check_sizes("compare-bases", self.kernel_sizes)
        if self.orders < 0:
            raise ValueError(f"compare-bases expects orders >= 0, got {self.orders}.")
        parse_group(self.group)


def compare_bases(config: CompareBases, progress: ProgressCallback = silent) -> Record:
    """Fit every family and measure it."""
    group = parse_group(config.group)
    train = load("cifar10", "train", data_dir=config.data_dir, progress=progress).take(config.fit_images).grey()
    test = load("cifar10", "test", data_dir=config.data_dir, progress=progress).take(config.test_images).grey()
    settings = settings_of(config)
    record = Record(
        study="bases",
        command=command_of("python -m studies compare-bases", config, "bases"),
        config={**settings, "data": "cifar10", "spline": 3},
    )
    named = [_named(word, group, config.kernel_sizes) for word in config.bases]
    photographs = {name: list(grey_tiles(sample_pictures(name))) for name in _PICTURES if config.photographs}
    for k in config.kernel_sizes:
        tests = {"cifar10-test": measure_moments(test, group, k)}
        tests["cifar10-test, whitened"] = measure_moments(test, group, k, whiten=True)
        for name, tiles in photographs.items():
            tests[name] = measure_moments(tiles, group, k, order=5)
            tests[f"{name}, whitened"] = measure_moments(tiles, group, k, order=5, whiten=True)
        start = time.perf_counter()
        natural = measure_moments(train, group, k)
        seconds = time.perf_counter() - start
        whitened = measure_moments(train, group, k, whiten=True)
        peers, skipped = peer_bases(group, k)
        record.extra["skipped"] = record.extra.get("skipped", {}) | skipped
        built = [*families(group, k, natural, whitened), *peers, *(b for b in named if b.basis.kernel_size == (k, k))]
        for done, (family, fit, basis, fit_seconds) in enumerate(built, start=1):
            for name, moments in tests.items():
                learned = fit != "none"
                record.add(
                    family=family, group=group.name.lower(), kernel=k, num_atoms=basis.num_atoms, seed=0, train=fit,
                    test=name, test_error_percent=None, parameters=0,
                    seconds=round(fit_seconds + (seconds if learned else 0.0), 4), **measure_basis(basis, moments),
                )  # fmt: skip
            progress(f"{k}x{k} bases", done, len(built))
    compare_orders(record, config, train[: config.orders_images], test[: config.orders_images], progress)
    return record


def _named(word: str, group: Group, kernel_sizes: Sequence[int]) -> Built:
    basis = load_basis(word)
    if basis.group != group or basis.kernel_size not in {(k, k) for k in kernel_sizes}:
        raise ValueError(
            f"compare-bases expects bases of {group} and one of the kernel sizes {tuple(kernel_sizes)}, got {word} of "
            f"{basis.group} and {basis.kernel_size}."
        )
    if not isinstance(basis, TabulatedBasis):
        return Built(parse_basis_name(word).family, "none", basis, 0.0)
    return Built(str(basis.metadata.get("family", "table")), str(basis.metadata.get("data", "unknown")), basis, 0.0)


def measure_basis(basis: FilterBasis, moments: Moments) -> dict[str, float | None]:
    """Every figure of merit of a basis, as one flat row."""
    errors = basis_equivariance_error(basis, moments)
    restricted = basis_equivariance_error(basis, moments, zero_mean=True)
    n = basis.group.num_rotations
    columns: dict[str, float | None] = {
        f"error_{360 * g / n:g}": float(errors[g]) for g in range(1, n) if 360 * g / n <= 180
    }
    columns["error_worst"] = float(errors.max())
    worst = float(restricted.max())
    columns["error_zero_mean_worst"] = worst if math.isfinite(worst) else None  # no filter of the span sums to zero
    columns["unitarity_error"] = float(unitarity_error(basis).max())
    pixels = basis.kernel_size[0] * basis.kernel_size[1]
    identity = basis(torch.float64)[0].flatten(1)
    complete = basis.num_atoms == pixels and int(torch.linalg.matrix_rank(identity)) == pixels
    columns["group_law_error"] = float(group_law_error(basis).max()) if complete else None
    condition = float(condition_number(basis).max())
    columns["condition_number"] = condition if condition < 1e6 else None  # atoms vanish at some element
    return columns


def compare_orders(
    record: Record, config: CompareBases, train: Tensor, test: Tensor, progress: ProgressCallback = silent
) -> None:
    """Add rows for both families, every cyclic group up to an order and every kernel."""
    for n in range(1, config.orders + 1):
        for kernel in config.kernel_sizes:
            group = Cyclic(n)
            moments, held_out = (measure_moments(images, group, kernel) for images in (train, test))
            for basis in (UnitaryBasis(group, kernel, moments), ProcrustesBasis(group, kernel, moments)):
                record.add(
                    family=type(basis).__name__.removesuffix("Basis").lower(), group=group.name.lower(),
                    kernel=kernel, num_atoms=basis.num_atoms, seed=0, train=f"cifar10, {len(train)} images",
                    test=f"cifar10-test, {len(test)} images", test_error_percent=None, parameters=0, seconds=0.0,
                    **_float32_errors(basis),
                    error_rms=float(basis_equivariance_error(basis, held_out).square().mean().sqrt()),
                )  # fmt: skip
        progress("unitary, every order", n, config.orders)


def _float32_errors(basis: FixedBasis) -> dict[str, float]:
    """Errors of unitarity, the group law and exact turns after rounding to float32."""
    rounded = TabulatedBasis(basis.group, basis.kernel_size, basis(torch.float32))
    atoms = rounded(torch.float64).flatten(2)
    turns = [
        (atoms[g] - atoms[0][:, torch.from_numpy(grid_permutation(basis.group, g, *basis.kernel_size).copy())]).abs()
        for g in exact_elements(basis.group, *basis.kernel_size)
    ]
    return {
        "unitarity_error": float(unitarity_error(rounded).max()),
        "group_law_error": float(group_law_error(rounded).max()),
        "quarter_turn_error": float(torch.stack(turns).max()),
    }


def families(group: Group, kernel_size: int, natural: Moments, whitened: Moments) -> Iterator[Built]:
    """Every family that exists for this group and kernel."""
    for family, fit, build in [
        *_written_down(group, kernel_size),
        *_fitted(group, kernel_size, "cifar10", natural),
        *_fitted(group, kernel_size, "cifar10, whitened", whitened),
        *_shipped(group, kernel_size),
    ]:
        start = time.perf_counter()
        basis = build()
        yield Built(family, fit, basis, time.perf_counter() - start)


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
    """Bases learned from images; the spectral and unitary ones of every possible dimension."""
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
    for family in ("spectral", "unitary"):
        name = f"{family}-{group.name.lower()}-k{kernel_size}"
        if name in list_bases():
            yield family, "shipped", lambda n=name: load_basis(n)
