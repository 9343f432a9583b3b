"""The demo: learn how filters turn, build a CNN from them, recognize digits at angles it was never trained on."""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn

from orbitconv._support.progress import FIGURES, ProgressCallback, silent
from orbitconv.bases import BilinearBasis, ExactBasis, FilterBasis, SpectralBasis, UnitaryBasis
from orbitconv.data import ImageSet, load
from orbitconv.demo.upright import KERNEL, UprightStudy, build, measure
from orbitconv.groups import Cyclic
from orbitconv.learn import Moments, measure_moments
from orbitconv.metrics import basis_equivariance_error, group_law_error, unitarity_error
from orbitconv.records.command import command_as_run
from orbitconv.records.record import Record

ORDER = 8
# Atoms of the spectral basis: as many as the circular harmonics have at this kernel size.
DIMENSION = 6


@dataclass(frozen=True, kw_only=True)
class Demo(UprightStudy):
    """Learn how filters turn, train on upright digits, test on digits at any angle."""

    out: Path = Path("runs/demo")
    """Folder for report.html, demo.json and the pictures."""


@dataclass(frozen=True)
class Outcome:
    """The results of the demo: bases by family, a network of each from the first seed, and the upright test digits."""

    record: Record
    bases: dict[str, FilterBasis]
    networks: dict[str, nn.Module]
    digits: ImageSet


def run_demo(config: Demo, progress: ProgressCallback = silent) -> Outcome:
    """Run the demo."""
    digits = load("mnist", "train", data_dir=config.data_dir, progress=progress)
    test = load("mnist", "test", data_dir=config.data_dir, progress=progress)
    bases, facts = learn_bases(digits, test, config.fit_images)
    record = Record(
        study="demo",
        command=command_as_run("orbitconv demo", config),
        config={**config.settings(), "data": "mnist", "kernel": KERNEL},
        extra=facts,
    )
    networks: dict[str, nn.Module] = {}
    jobs = [(family, seed) for seed in range(config.seeds) for family in ("plain", *bases)]
    for place, (family, seed) in enumerate(jobs):
        network = build(family, bases.get(family), config.parameters, seed)
        told = _part_of(progress, place, len(jobs))
        for row in measure(family, bases.get(family), network, seed, digits, test, config, told):
            record.add(**row)
        networks.setdefault(family, network)
    return Outcome(record, bases, networks, test.take(config.curve_images))


def _part_of(progress: ProgressCallback, place: int, parts: int) -> ProgressCallback:
    """Progress of all networks together, so that the time left is that of the whole demo."""
    training = 90  # of 100 steps of a network; the others are its tests

    def update(what: str, done: int, total: int) -> None:
        share = done / total if total else 0.0
        steps = training * share if what.startswith("train") else training + (100 - training) * share
        progress(
            f"networks{FIGURES}{place + 1} of {parts}: {what.partition(FIGURES)[0]}",
            int(100 * place + steps),
            100 * parts,
        )

    return update


def learn_bases(digits: ImageSet, test: ImageSet, count: int) -> tuple[dict[str, FilterBasis], dict[str, Any]]:
    """The bases of the demo by family, and facts for the record: seconds of the fit, errors on the test digits."""
    group = Cyclic(ORDER)
    start = time.perf_counter()
    moments = measure_moments(digits.take(count).floats(), group, KERNEL)
    unitary = UnitaryBasis(group, KERNEL, moments)
    spectral = SpectralBasis(group, KERNEL, moments, dimension=DIMENSION)
    seconds = time.perf_counter() - start
    bases: dict[str, FilterBasis] = {
        "exact": ExactBasis(Cyclic(4), KERNEL),
        "bilinear": BilinearBasis(group, KERNEL),
        "unitary": unitary,
        "spectral": spectral,
    }
    held_out = measure_moments(test.take(min(count, len(test))).floats(), group, KERNEL)
    facts = [_basis_facts(name, basis, held_out) for name, basis in bases.items() if basis.group == group]
    return bases, {"fit_seconds": round(seconds, 3), "fit_images": count, "bases": facts}


def _basis_facts(family: str, basis: FilterBasis, held_out: Moments) -> dict[str, Any]:
    """One row of the table of bases."""
    errors = basis_equivariance_error(basis, held_out)
    return {
        "family": family,
        "group": basis.group.name.lower(),
        "num_atoms": basis.num_atoms,
        "error_45_degrees": float(errors[1]),
        "error_90_degrees": float(errors[2]),
        "unitarity_error": float(unitarity_error(basis).max()),
        "group_law_error": float(group_law_error(basis).max()) if basis.is_complete else None,
    }
