"""One table over all systems: exact symmetries, remaining errors, cost, and test errors of networks."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import ClassVar

import torch
from torch import Tensor

from orbitconv._support.checks import check_positive
from orbitconv._support.progress import ProgressCallback, silent
from orbitconv.bases import SpectralBasis
from orbitconv.bases.second_moments import SecondMoments
from orbitconv.data import ImageSet, load, rotated
from orbitconv.data.rotation import TEST_SEED
from orbitconv.groups import parse_group
from orbitconv.hexagonal import to_hexagonal
from orbitconv.hexagonal.resampling import SAME_DENSITY, cut_off, low_pass_square
from orbitconv.learn import measure_hexagonal_moments, measure_moments, whiten_images
from orbitconv.metrics import basis_equivariance_error, unitarity_error
from orbitconv.models import SmallCNN, count_multiply_adds, count_parameters
from orbitconv.records.record import Record, Row
from orbitconv.train import Training, error_percent
from orbitconv.train.in_memory import train
from studies.base.journal import Journal
from studies.base.settings import StudySettings, gathered
from studies.systems.measure import equivariance_errors, times
from studies.systems.systems import SYSTEMS, System

_TRAIN_SEED = 2
"""Seed of the angles of the training digits."""


@dataclass(frozen=True, kw_only=True)
class SystemsStudy(StudySettings):
    """Train one network of every system on turned digits, all as large and trained alike, and measure it.

    Then compare learned bases of C12 on hexagons and on squares, and time a step of every network.
    """

    study: ClassVar[str] = "systems"
    may_change: ClassVar[frozenset[str]] = frozenset({"seeds", "rounds"})

    out: Path = Path("runs/systems")
    seeds: int = 3
    """Networks of each system."""
    train_images: int = 3000
    """Training digits, each rotated by its own random angle."""
    test_images: int = 2000
    """Test digits."""
    plain_width: int = 12
    """Fields of the first stage of the plain network; 12 make 15,000 parameters. All others are equally large."""
    training: Training = field(default_factory=lambda: Training(epochs=6, learning_rate=1e-2, weight_decay=1e-3))
    """How to train."""
    basis_images: int = 2000
    """Photographs of CIFAR-10 to fit bases of C12 to, and to test them on."""
    rounds: int = 15
    """Timed steps of each network, in turns; 0 for none. Best measured on an idle machine."""

    def __post_init__(self) -> None:
        check_positive(
            "study systems", seeds=self.seeds, train_images=self.train_images, test_images=self.test_images,
            plain_width=self.plain_width, basis_images=self.basis_images,
        )  # fmt: skip
        if self.rounds < 0:
            raise ValueError(f"study systems expects rounds >= 0, got {self.rounds}.")


def study_systems(config: SystemsStudy, progress: ProgressCallback = silent) -> Record:
    """Train and measure every network; finished parts are not repeated."""
    digits, test = (load("mnist", split, data_dir=config.data_dir, progress=progress) for split in ("train", "test"))
    digits, test = digits.take(config.train_images), test.take(config.test_images)
    journal = Journal(config.out, config.fixed, overwrite=config.overwrite)
    parts = {
        f"{system.name}, seed {seed}": partial(_measure, system, seed, digits, test, config, progress)
        for seed in range(config.seeds)
        for system in SYSTEMS
    }
    done = journal.collect(parts)
    bases = journal.rows("bases of C12", partial(_compare_lattices, config, progress))
    rows = [row for part in done.values() for row in part]
    record = gathered(config, rows, journal.source, data="mnist, each digit turned by a random angle")
    record.extra["systems"] = [{"name": s.name, "source": s.source, "exact": s.exact} for s in SYSTEMS]
    record.extra["bases"] = bases
    if config.rounds:
        batch = digits.take(config.training.batch_size)
        networks = {system.name: build(system, 0, config.plain_width) for system in SYSTEMS}
        timed = partial(times, networks, batch.floats(), batch.labels, config.rounds, progress)
        record.extra["times"] = journal.rows(f"times, {config.rounds} rounds", timed)
    return record


def build(system: System, seed: int, plain_width: int) -> SmallCNN:
    """The network of a system, with the parameters of the plain one of a width."""
    torch.manual_seed(seed)
    return SmallCNN(system.basis(), plain_width=plain_width)


def _measure(
    system: System, seed: int, digits: ImageSet, test: ImageSet, config: SystemsStudy, progress: ProgressCallback
) -> list[Row]:
    basis, network = system.basis(), build(system, seed, config.plain_width)
    turned = rotated(digits, _TRAIN_SEED).images
    what = f"{system.name}, seed {seed}"
    seconds = train(network, turned, digits.labels, config.training, seed=seed, what=what, progress=progress)
    columns: Row = {
        "family": system.name,
        "group": "c1" if basis is None else basis.group.name.lower(),
        "kernel": 3 if basis is None else basis.kernel_size[0],
        "taps": 9 if basis is None else basis.num_taps,
        "num_atoms": 9 if basis is None else basis.num_atoms,
        "seed": seed,
        "train": "rotated",
        "parameters": count_parameters(network),
        "multiply_adds": count_multiply_adds(network, (1, 28, 28)),
        "unitarity_error": None if basis is None else float(unitarity_error(basis).max()),
        "seconds": round(seconds, 1),
        **equivariance_errors(network, test.take(min(500, len(test))).floats()),
    }
    network.eval()
    tests = {"upright": test.floats(), "rotated": rotated(test, TEST_SEED).images}
    return [
        {**columns, "test": name, "test_error_percent": error_percent(network, images, test.labels)}
        for name, images in tests.items()
    ]


def _compare_lattices(config: SystemsStudy, progress: ProgressCallback) -> list[Row]:
    """Spectral bases of C12 on hexagons (19 taps) and on squares (5x5): the error for every number of atoms."""
    group = parse_group("c12")
    train_images, test_images = (
        load("cifar10", split, data_dir=config.data_dir, progress=progress).take(config.basis_images).grey()
        for split in ("train", "test")
    )
    limit = cut_off(SAME_DENSITY)

    def on_squares(images: Tensor) -> SecondMoments:
        return measure_moments(images, group, 5)

    def on_hexagons(images: Tensor) -> SecondMoments:
        return measure_hexagonal_moments(to_hexagonal(images, padding_mode="reflect"), group, 5)

    ways: Mapping[tuple[str, str], Callable[[Tensor], SecondMoments]] = {
        ("square", "as they are"): on_squares,
        ("square", "low-passed"): lambda images: on_squares(low_pass_square(images, limit)),
        ("square", "whitened"): lambda images: on_squares(whiten_images(images)),
        ("hexagonal", "low-passed"): on_hexagons,
        ("hexagonal", "whitened"): lambda images: on_hexagons(whiten_images(images)),
    }
    rows: list[Row] = []
    for step, ((lattice, images), measure) in enumerate(ways.items(), start=1):
        rows += [
            {"lattice": lattice, "images": images, **row}
            for row in _errors_by_atoms(measure(train_images), measure(test_images))
        ]
        progress("bases of C12", step, len(ways))
    return rows


def _errors_by_atoms(fit: SecondMoments, judge: SecondMoments) -> list[Row]:
    """The error at 30 degrees, and of the worst element, for every number of atoms."""
    rows: list[Row] = []
    for dimension in range(1, 26):
        try:
            basis = SpectralBasis(fit.group, 5, fit, dimension=dimension)
        except ValueError:
            continue  # it would cut a pair
        errors = basis_equivariance_error(basis, judge)
        rows.append({"num_atoms": dimension, "error_30": float(errors[1]), "error_worst": float(errors.max())})
    return rows
