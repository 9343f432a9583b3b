"""Trainings of bases, each in its own folder: settings, running, measuring, records and tables."""

import itertools
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean
from typing import Any, ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from orbitconv import bases
from orbitconv._support.checks import check_positive
from orbitconv._support.progress import ProgressCallback
from orbitconv.data import load
from orbitconv.groups import Group, parse_group
from orbitconv.learn import BasisTraining, Moments, TrainedBasis, measure_moments, train_basis
from orbitconv.learn_basis import grey_images
from orbitconv.metrics import basis_equivariance_error
from orbitconv.records.command import settings_of
from orbitconv.records.grouping import mean_and_spread
from orbitconv.records.record import Record
from orbitconv.records.run_folder import has_checkpoint
from studies.base.command import Shown, table
from studies.base.summary import grouped, values
from studies.bases.compare_bases import measure_basis

LOSSES = ("equivariance", "reconstruction", "orthogonality")
# Points that a curve has, but for its start.
_POINTS = 20
# Images that the unitary basis is fitted to, as in the comparison of bases.
_FIT_IMAGES = 2000


@dataclass(frozen=True, kw_only=True)
class TrainBases:
    """Train bases by gradient descent on real images."""

    out: Path = Path("runs/train-basis")
    """Folder of the result."""
    group: str = "c8"
    """Group: c8, d6, ..."""
    kernel_size: int = 3
    """Side of the kernel, in pixels."""
    max_images: int = 10_000
    """Largest number of training images (tiles of 96 pixels, for pictures)."""
    test_images: int = 2000
    """CIFAR-10 test images for the errors."""
    seeds: int = 1
    """Bases to train, from different seeds; tables show their mean."""
    copies: int = 1
    """Concatenate as many bases, from different seeds (the paper's variant "over-complete")."""
    data_dir: Path | None = None
    """Folder with the data sets; by default ORBITCONV_DATA, then the user's cache, then a download."""
    results: Path | None = None
    """Write the record to this JSON file too."""

    command: ClassVar[str]

    def __post_init__(self) -> None:
        names = ("kernel_size", "max_images", "test_images", "seeds", "copies")
        check_positive(self.command, **{name: getattr(self, name) for name in names})
        parse_group(self.group)

    def settings(self) -> dict[str, Any]:
        """All settings that a result depends on, for the record."""
        return {name: str(value) if isinstance(value, Path) else value for name, value in settings_of(self).items()}


@dataclass(frozen=True)
class Run:
    """One training."""

    settings: str
    training: BasisTraining
    trained: TrainedBasis
    seconds: float | None


def check_out(out: Path, *, resume: bool) -> None:
    """Refuse an output folder that cannot be used, before any work."""
    nearest = next(path for path in (out, *out.absolute().parents) if path.exists())
    if not nearest.is_dir():
        raise NotADirectoryError(f"{nearest} is a file; name another folder for the result with --out.")
    if nearest == out and not resume and any(out.iterdir()):
        raise FileExistsError(
            f"{out} holds something already. Resume the training in it with --resume, or choose another folder "
            "with --out."
        )


def baselines(group: Group, kernel_size: int, images: Float[Tensor, "n 1 h w"]) -> dict[str, bases.FilterBasis]:
    """The reference bases, hand-made and in closed form."""
    return {
        "nearest": bases.NearestBasis(group, kernel_size),
        "bilinear": bases.BilinearBasis(group, kernel_size),
        "gaussian, sigma 0.3": bases.GaussianBasis(group, kernel_size, 0.3),
        "unitary": bases.UnitaryBasis(group, kernel_size, measure_moments(images[:_FIT_IMAGES], group, kernel_size)),
    }


def with_seeds(training: BasisTraining, config: TrainBases) -> list[BasisTraining]:
    """The same settings for each seed."""
    count = max(config.seeds, config.copies)
    return [replace(training, seed=training.seed + number) for number in range(count)]


def train_run(
    name: str, training: BasisTraining, config: TrainBases, images: Float[Tensor, "n 1 h w"], folder: Path,
    progress: ProgressCallback, resume: bool, tensorboard: bool = False,
) -> Run:  # fmt: skip
    """One training in its own folder; a later run can resume it."""
    out = folder / f"seed-{training.seed}"
    begun = has_checkpoint(out)

    def show(_what: str, done: int, total: int) -> None:
        progress(f"{name}, seed {training.seed}", done, total)

    start = time.perf_counter()
    trained = train_basis(
        images, parse_group(config.group), config.kernel_size, training, out=out, resume=resume,
        tensorboard=tensorboard, progress=show,
    )  # fmt: skip
    return Run(name, training, trained, None if begun else round(time.perf_counter() - start, 2))


def measure_runs(
    record: Record, runs: Sequence[Run], images: Float[Tensor, "n 1 h w"], copies: int, test: Moments | None
) -> None:
    """Fill a record: errors of every basis on the test images, else on held-out images, and the curves."""
    first = runs[0].trained
    data, tested = ("cifar10", "cifar10-test") if test else ("pictures", "held-out pictures")
    for family, basis, run, seconds in _variants(runs, copies):
        record.add(
            family=family, settings=run.settings, train=data, test=tested, seed=run.training.seed,
            steps=run.trained.steps, seconds=seconds, **_columns(basis, test or run.trained.held_out),
        )  # fmt: skip
    others = baselines(first.basis.group, first.basis.kernel_size[0], images)
    for family, basis in others.items():
        train = data if family == "unitary" else "none"
        record.add(
            family=family, settings="none", train=train, test=tested, seed=0, steps=None, seconds=None,
            **_columns(basis, test or first.held_out),
        )  # fmt: skip
    held_out = {run.training.seed: run.trained.held_out for run in runs}.values()
    record.extra["baselines_held_out_error"] = {
        family: brief(fmean(mean_error(basis, moments) for moments in held_out)) for family, basis in others.items()
    }
    record.extra["curves"] = [curve(run.settings, run.training, run.trained) for run in runs]


def _variants(runs: Sequence[Run], copies: int) -> Iterator[tuple[str, bases.FilterBasis, Run, float | None]]:
    """The paper's variants of every basis: unchanged, averaged, and several concatenated."""
    for run in runs:
        yield "learned", run.trained.basis, run, run.seconds
        yield "learned, average", run.trained.basis.average(), run, run.seconds
    for settings in dict.fromkeys(run.settings for run in runs if copies > 1):
        own = [run for run in runs if run.settings == settings][:copies]
        times = [run.seconds for run in own if run.seconds is not None]
        seconds = round(sum(times), 2) if len(times) == len(own) else None
        together = [run.trained.basis for run in own]
        yield "over-complete", bases.OvercompleteBasis(together), own[0], seconds
        average = [basis.average() for basis in together]
        yield "over-complete, average", bases.OvercompleteBasis(average), own[0], seconds


def _columns(basis: bases.FilterBasis, moments: Moments) -> dict[str, Any]:
    return {
        "group": basis.group.name.lower(), "kernel": basis.kernel_size[0], "num_atoms": basis.num_atoms,
        "test_error_percent": None, "parameters": 0, **measure_basis(basis, moments),
    }  # fmt: skip


def training_images(config: TrainBases, pictures: Path | None, progress: ProgressCallback) -> Float[Tensor, "n 1 h w"]:
    """The images to train with, in memory."""
    images = torch.cat(list(grey_images(pictures, config.max_images, config.kernel_size, config.data_dir, progress)))
    if (images.flatten(1).amax(1) == images.flatten(1).amin(1)).all():
        raise ValueError(
            f"{config.command} expects images with some contrast, got {len(images)} constant ones. Nothing can be "
            "learned about how filters turn from them."
        )
    return images


def moments_of_test_images(config: TrainBases, group: Group, progress: ProgressCallback) -> Moments:
    """Moments of the first test images of CIFAR-10, as in the comparison of bases."""
    test = load("cifar10", "test", data_dir=config.data_dir, progress=progress).take(config.test_images).grey()
    return measure_moments(test, group, config.kernel_size)


def show(_config: object, record: Record) -> Shown:
    """Errors at each angle: mean, and standard deviation over seeds, of every kind of basis."""
    first = record.rows[0]
    tested = "CIFAR-10's test images" if first["test"] == "cifar10-test" else "the pictures held out"
    numbers = {name: f"{name[6:]}°" for name in first if name[6:].replace(".", "", 1).isdigit()}
    numbers |= {"error_worst": "worst", "unitarity_error": "unitarity"}
    several = len(grouped(record.rows, "settings").keys() - {"none"}) > 1
    words = ("basis", "settings") if several else ("basis",)
    rows = (
        (
            *(family, "" if settings == "none" else settings)[: len(words)], str(own[0]["num_atoms"]),
            *(mean_and_spread(values(own, name), 3) for name in numbers),
        )
        for (settings, family), own in grouped(record.rows, "settings", "family").items()
    )  # fmt: skip
    title = f"Equivariance error, {str(first['group']).upper()}, {first['kernel']}x{first['kernel']}, on {tested}"
    shown = table(title, rows, *words, "atoms", *numbers.values(), left=words)
    return Shown([shown])


def mean_error(basis: bases.FilterBasis, moments: Moments) -> float:
    """The objective of the training: the mean equivariance error over all elements but the identity."""
    errors = basis_equivariance_error(basis, moments)
    return float((errors[1:] if len(errors) > 1 else errors).mean())


def curve(settings: str, training: BasisTraining, trained: TrainedBasis) -> dict[str, Any]:
    """The course of one training, in about twenty points."""
    basis = trained.basis
    start = bases.LearnedBasis(
        basis.group, basis.kernel_size[0], training.num_atoms, start=training.start, orthogonal=training.orthogonal,
        seed=training.seed,
    )  # fmt: skip
    measured = [int(row["step"]) for row in trained.metrics if "held_out_error" in row]
    steps = [0, *measured[:: -max(1, round(len(measured) / _POINTS))][::-1]]  # the last one always
    errors = [mean_error(start, trained.held_out)]
    errors += [trained.metrics[step - 1]["held_out_error"] for step in steps[1:]]
    columns: dict[str, list[float | None]] = {"held_out_error": [brief(error) for error in errors]}
    for name in LOSSES:
        stretches = itertools.pairwise(steps)
        means = [brief(fmean(row[name] for row in trained.metrics[a:b])) for a, b in stretches]
        columns[name] = [None, *means]
    return {"settings": settings, "seed": training.seed, "step": steps, **columns}


def brief(value: float) -> float:
    """A number rounded to the digits that a curve needs."""
    return float(f"{value:.4g}")
