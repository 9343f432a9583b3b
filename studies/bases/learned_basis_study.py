"""The paper's training of bases with our settings and with the paper's, over seeds: a study that can be stopped."""

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import ClassVar, Literal, get_args

from orbitconv._support.progress import ProgressCallback, silent
from orbitconv.groups import parse_group
from orbitconv.learn import BasisTraining
from orbitconv.records.command import command_of
from orbitconv.records.record import Record
from studies.bases.basis_runs import (
    TrainBases,
    check_out,
    measure_runs,
    moments_of_test_images,
    train_run,
    training_images,
    with_seeds,
)

Variant = Literal["default", "l2", "paper", "paper-standardized", "paper-interpolated"]


@dataclass(frozen=True, kw_only=True)
class LearnedBasisStudy(TrainBases):
    """Train filter bases by gradient descent with our settings and the paper's, and compare them on held-out images.

    A study that was stopped goes on.
    """

    out: Path = Path("runs/learned-basis")
    """Folder of the result; a study that was stopped goes on from what is in it."""
    seeds: int = 3
    """Bases of each kind, from different seeds; tables show their mean."""
    copies: int = 3
    """Put as many bases, from different seeds, side by side (the paper's variant "over-complete")."""
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
    """Train with every variant's settings; trainings that were stopped go on."""
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
