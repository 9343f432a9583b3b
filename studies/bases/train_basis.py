"""One basis trained by gradient descent as in the paper, on real images, written as a file."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from statistics import fmean
from typing import ClassVar, Literal, get_args

import torch

from orbitconv._support.progress import ProgressCallback, silent
from orbitconv.bases import LearnedBasis, OvercompleteBasis, TabulatedBasis, save_basis
from orbitconv.groups import parse_group
from orbitconv.learn import BasisTraining, Moments
from orbitconv.metrics import basis_equivariance_error
from orbitconv.records.command import command_of
from orbitconv.records.record import Record
from studies.bases.basis_runs import (
    Run,
    TrainBases,
    check_out,
    measure_runs,
    moments_of_test_images,
    train_run,
    training_images,
    with_seeds,
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class TrainBasis(TrainBases):
    """Train a filter basis by gradient descent, as in the paper.

    The folder gets basis.safetensors (load it with orbitconv.bases.load_basis, or name the file where a layer takes a
    basis), the curve of the training, and what --resume needs. Takes about a minute.
    """

    images: Path | None = None
    """Folder of pictures of any size to learn from; by default CIFAR-10's training images."""
    average: bool = False
    """Make quarter turns and mirrors exact after the training (the paper's variant "average")."""
    resume: bool = False
    """Resume the training in the folder from its last checkpoint."""
    tensorboard: bool = False
    """Write TensorBoard event files too."""
    training: BasisTraining = field(default_factory=BasisTraining)
    """How to train."""

    command: ClassVar[str] = "python -m studies train-basis"


@dataclass(frozen=True, kw_only=True)
class TrainPaperBasis(TrainBasis):
    """Train a filter basis by gradient descent, starting from the paper's settings."""

    training: BasisTraining = field(default_factory=BasisTraining.paper)
    """How to train."""

    command: ClassVar[str] = "python -m studies train-basis-paper"


def train_one(config: TrainBasis, progress: ProgressCallback = silent) -> Record:
    """Train a basis and write it as `basis.safetensors`, beside the records of the trainings."""
    check_out(config.out, resume=config.resume)
    config.training.check()
    group = parse_group(config.group)
    images = training_images(config, config.images, progress)
    record = Record(
        study="train_basis",
        command=command_of(config.command, config, "train_basis"),
        config={**config.settings(), "spline": 3},
    )
    known = {training_of(variant): variant for variant in get_args(Variant)}
    name = known.get(replace(config.training, seed=0), "own settings")
    trainings = with_seeds(config.training, config)
    runs = [
        train_run(name, training, config, images, config.out, progress, config.resume, config.tensorboard)
        for training in trainings
    ]
    test = moments_of_test_images(config, group, progress) if config.images is None else None
    measure_runs(record, runs, images, config.copies, test)
    _save(runs, config, len(images), test)
    return record


def _save(runs: Sequence[Run], config: TrainBasis, num_images: int, test: Moments | None) -> None:
    """Write the basis: all seeds concatenated, or the best by its held-out error."""
    best = min(runs, key=lambda run: run.trained.held_out_error)
    chosen = list(runs[: config.copies]) if config.copies > 1 else [best]
    parts: list[LearnedBasis] = [run.trained.basis for run in chosen]
    together = OvercompleteBasis([part.average() for part in parts] if config.average else parts)
    basis = TabulatedBasis(together.group, together.kernel_size, together(torch.float64).detach())
    save_basis(
        basis, config.out / "basis.safetensors", family="learned",
        data="pictures" if config.images else "CIFAR-10 training images", images=num_images,
        equivariance_error=float(basis_equivariance_error(basis, test or best.trained.held_out).max()),
        held_out_error=fmean(run.trained.held_out_error for run in chosen),
        steps=max(run.trained.steps for run in chosen), seeds=[run.training.seed for run in chosen],
        average=config.average, settings=asdict(config.training),
    )  # fmt: skip


Variant = Literal["default", "l2", "paper", "paper-standardized", "paper-interpolated"]


@dataclass(frozen=True, kw_only=True)
class LearnedBasisStudy(TrainBases):
    """Train filter bases by gradient descent with our settings and the paper's, and compare them on held-out images.

    A stopped study resumes.
    """

    out: Path = Path("runs/learned-basis")
    """Folder of the result; a stopped study resumes from what is in it."""
    seeds: int = 3
    """Bases of each kind, from different seeds; tables show their mean."""
    copies: int = 3
    """Concatenate as many bases, from different seeds (the paper's variant "over-complete")."""
    variants: tuple[Variant, ...] = get_args(Variant)
    """Settings to train with: default; l2, the same with mean squares in all losses; paper; paper-standardized, the
    paper's with images of zero mean, 3,000 steps; paper-interpolated, from an interpolated start, 3,000 steps."""

    command: ClassVar[str] = "python -m studies learned-basis"


def training_of(variant: Variant) -> BasisTraining:
    """The settings of a variant."""
    match variant:
        case "default":
            return BasisTraining()
        case "l2":
            return BasisTraining(norm="l2")
        case "paper":
            return BasisTraining.paper()
        case "paper-standardized":
            return replace(BasisTraining.paper(), contrast=BasisTraining().contrast, steps=3000)
        case "paper-interpolated":
            return replace(BasisTraining.paper(), start="interpolated", steps=3000)


def study_learned_bases(config: LearnedBasisStudy, progress: ProgressCallback = silent) -> Record:
    """Train with every variant's settings; stopped trainings resume."""
    check_out(config.out, resume=True)
    images = training_images(config, None, progress)
    test = moments_of_test_images(config, parse_group(config.group), progress)
    trainings = {variant: training_of(variant) for variant in config.variants}
    settings = {"training": {name: asdict(training) for name, training in trainings.items()}, "spline": 3}
    record = Record(
        study="learned_basis",
        command=command_of(config.command, config, "learned_basis"),
        config={**config.settings(), **settings},
    )
    runs = [
        train_run(variant, training, config, images, config.out / variant, progress, resume=True)
        for variant in config.variants
        for training in with_seeds(trainings[variant], config)
    ]
    measure_runs(record, runs, images, config.copies, test)
    return record
