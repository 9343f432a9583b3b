"""The main job: learn how filters turn, build a CNN from them, recognize digits at angles it was never trained on."""

import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import nn

from orbitconv.bases import BilinearBasis, ExactBasis, FilterBasis, SpectralBasis, UnitaryBasis
from orbitconv.checks import check_positive
from orbitconv.data import ImageSet, load, rotated
from orbitconv.experiments.record import Record
from orbitconv.experiments.training import Training, error_percent, train
from orbitconv.groups import Cyclic
from orbitconv.learn import Moments, measure_moments
from orbitconv.metrics import basis_equivariance_error, group_law_error, unitarity_error
from orbitconv.models import SmallCNN, SmallGroupCNN, count_parameters, width_for_parameters
from orbitconv.progress import ProgressCallback, silent

KERNEL = 3
ORDER = 8
# Atoms of the spectral basis: as many as the circular harmonics have at this kernel size.
DIMENSION = 6
# Seed of the test angles: the same for every network and every run.
TEST_SEED = 1


@dataclass(frozen=True, kw_only=True)
class Demo:
    """Learn how filters turn, train on upright digits, test on digits at any angle."""

    out: Path = Path("runs/demo")
    """Folder for report.html, demo.json and the pictures."""
    overwrite: bool = False
    """Replace a result that is there."""
    data_dir: Path | None = None
    """Folder with the data sets; by default ORBITCONV_DATA, then the user's cache, then a download."""
    seeds: int = 1
    """Networks of each kind, from different seeds; the table shows their mean."""
    results: Path | None = None
    """Write the record to this JSON file too."""
    train_images: int = 6000
    """Upright digits to train on."""
    fit_images: int = 2000
    """Upright digits to learn the turning of filters from."""
    test_images: int = 2000
    """Test digits, upright and each turned by a random angle."""
    curve_images: int = 500
    """Test digits for the curve of error against angle, at steps of 15 degrees."""
    parameters: int = 50_000
    """Parameters of every network, as near as its widths allow."""
    training: Training = field(default_factory=Training)
    """How to train the networks."""

    def __post_init__(self) -> None:
        for name in ("seeds", "train_images", "fit_images", "test_images", "curve_images", "parameters"):
            check_positive("demo", **{name: getattr(self, name)})
        for name in ("epochs", "batch_size"):
            check_positive("demo", **{name: getattr(self.training, name)})


@dataclass(frozen=True)
class Outcome:
    """What the demo leaves for the report.

    Args:
        record: Every number.
        bases: The basis of each family but the plain one.
        networks: A trained network of each family, from the first seed.
        digits: The test digits, upright.
    """

    record: Record
    bases: dict[str, FilterBasis]
    networks: dict[str, nn.Module]
    digits: ImageSet


def run_demo(config: Demo, progress: ProgressCallback = silent) -> Outcome:
    """Run the main job.

    Args:
        config: Settings.
        progress: Called as the work goes on.

    Returns:
        Numbers, bases and networks.

    Raises:
        DataError: If the digits cannot be found, or are damaged.
        ValueError: If more digits are asked for than there are.
    """
    digits = load("mnist", "train", data_dir=config.data_dir, progress=progress)
    test = load("mnist", "test", data_dir=config.data_dir, progress=progress)
    bases, facts = learn_bases(digits, test, config.fit_images)
    settings = {k: v for k, v in asdict(config).items() if k not in {"out", "overwrite", "data_dir", "results"}}
    record = Record(
        study="demo",
        command=f"orbitconv demo --seeds {config.seeds} --results results/demo.json",
        config={**settings, "data": "mnist", "kernel": KERNEL},
        extra=facts,
    )
    networks: dict[str, nn.Module] = {}
    for seed in range(config.seeds):
        for family in ("plain", *bases):
            network = build(family, bases.get(family), config.parameters, seed)
            measure(record, family, bases.get(family), network, seed, digits, test, config, progress)
            networks.setdefault(family, network)
    return Outcome(record, bases, networks, test.take(config.curve_images))


def learn_bases(digits: ImageSet, test: ImageSet, count: int) -> tuple[dict[str, FilterBasis], dict[str, Any]]:
    """The bases of the demo and what is wrong with each of them, measured on the test digits.

    Args:
        digits: Images to learn from.
        test: Images to measure on.
        count: How many of each to use.

    Returns:
        Bases by family, and facts for the record: seconds of the fit, errors of each basis.
    """
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


def build(family: str, basis: FilterBasis | None, parameters: int, seed: int) -> nn.Module:
    """A network of one family, near a parameter budget.

    Args:
        family: Name of the family.
        basis: Its basis; None for the plain one.
        parameters: Wanted number of parameters.
        seed: Seed of the initial weights.

    Returns:
        The network, untrained.

    Raises:
        ValueError: If a family other than the plain one has no basis.
    """
    if (basis is None) != (family == "plain"):
        raise ValueError(f"Every family but 'plain' needs a basis, got family {family!r} with basis {basis}.")
    torch.manual_seed(seed)
    width = width_for_parameters(basis, KERNEL, parameters)
    return SmallCNN(width, KERNEL) if basis is None else SmallGroupCNN(basis, width)


def measure(
    record: Record,
    family: str,
    basis: FilterBasis | None,
    network: nn.Module,
    seed: int,
    digits: ImageSet,
    test: ImageSet,
    config: Demo,
    progress: ProgressCallback,
) -> None:
    """Train one network on upright digits and record its errors on upright and on turned ones.

    Args:
        record: Receives the rows.
        family: Name of the family.
        basis: Its basis; None for the plain one.
        network: The network, trained in place.
        seed: Seed of the order of the images.
        digits: Training digits.
        test: Test digits.
        config: Settings.
        progress: Called as the work goes on.
    """
    chosen = digits.take(config.train_images)
    what = f"{family}, seed {seed}" if config.seeds > 1 else family
    seconds = train(
        network, chosen.floats(), chosen.labels, config.training, seed=seed, what=f"train {what}", progress=progress
    )
    columns = {
        "family": family,
        "group": "c1" if basis is None else basis.group.name.lower(),
        "kernel": KERNEL,
        "num_atoms": KERNEL**2 if basis is None else basis.num_atoms,
        "seed": seed,
        "train": "upright",
        "parameters": count_parameters(network),
        "seconds": round(seconds, 2),
    }
    upright = test.take(config.test_images)
    turned = rotated(upright, TEST_SEED)
    for name, images in (("upright", upright.floats()), ("rotated", turned.images)):
        record.add(
            **columns, test=name, degrees=None, test_error_percent=error_percent(network, images, upright.labels)
        )
    few = test.take(config.curve_images)
    angles = range(0, 360, 15)
    for step, degrees in enumerate(angles, start=1):
        at_angle = rotated(few, degrees=degrees)
        error = error_percent(network, at_angle.images, few.labels)
        record.add(**columns, test="angle", degrees=degrees, test_error_percent=error)
        progress(f"test {what}", step, len(angles))
