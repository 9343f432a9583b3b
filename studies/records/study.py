"""Levers one at a time, judged on images held out of training; then the chosen ones together, tested once a seed."""

import re
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any, ClassVar

from torch import nn

import orbitconv
from orbitconv import Builder
from orbitconv._support.checks import check_positive, did_you_mean
from orbitconv._support.progress import ProgressCallback, silent
from orbitconv.data import ImageSet, rotated
from orbitconv.data.rotation import TEST_SEED
from orbitconv.evaluation.network_facts import turned_copies
from orbitconv.models import count_multiply_adds, count_parameters
from orbitconv.records.command import settings_of
from orbitconv.records.record import Record, Row
from orbitconv.train import Augmentation, Classification, Hardware, Task, Training, error_percent
from orbitconv.train.datasets import is_turned, load_split
from studies.base.journal import Journal
from studies.base.progress import named
from studies.base.settings import StudySettings, gathered
from studies.records.recipe import Lever, Recipe
from studies.records.tasks import Distilled, TurnedCopies

NOTHING = "nothing"
"""The lever that changes nothing."""

_NETWORKS = "networks"
# Seeds of what all networks have in common: the held-out images and the angles that these are turned by.
_HELD_OUT_SEED, _VALIDATION_ANGLES = 0, 2


@dataclass(frozen=True, kw_only=True)
class RecordStudy(StudySettings):
    """Train one network for each lever on a part of the images, and the chosen recipe on all of them."""

    known_levers: ClassVar[dict[str, Lever]]
    turns: ClassVar[Augmentation]
    """Augmentation of training images, or of their copies without labels."""

    out: Path = Path("runs/record")
    data: str = "mnist"
    """Name of the data set."""
    validation: int = 2000
    """Training images that are held out while levers are compared."""
    plain_width: int = 8
    """Size of the networks that levers are compared on: channels of the first stage of the plain twin."""
    images: int = 12_000
    """Images that levers are compared on."""
    epochs: int = 5
    """Epochs while levers are compared."""
    levers: tuple[str, ...] = ()
    """Levers to compare, one at a time."""
    lever_seeds: int = 1
    """Networks of each lever."""
    chosen: tuple[str, ...] = ()
    """Levers of the final recipe."""
    final_plain_width: int = 8
    """Size of the final networks."""
    final_images: int = 12_000
    """Training images of the final networks."""
    final_epochs: int = 5
    """Epochs of the final networks."""
    seeds: int = 3
    """Final networks; 0 to compare levers only."""
    copies: tuple[int, ...] = (2,)
    """Also test newly trained networks averaged over this many rotated copies of each image."""
    training: Training
    """How to train, except for the epochs."""
    hardware: Hardware = field(default_factory=Hardware)
    """Device and precision; tests run in 32 bits."""

    def __post_init__(self) -> None:
        owner = f"study {self.study}"
        sizes = ("validation", "plain_width", "images", "epochs", "lever_seeds", "final_plain_width", "final_images")
        check_positive(owner, final_epochs=self.final_epochs, **{name: getattr(self, name) for name in sizes})
        if any(copies < 2 for copies in self.copies):
            raise ValueError(f"{owner} expects two copies or more, got {self.copies}.")
        if self.seeds < 0:
            raise ValueError(f"{owner} expects seeds >= 0, got {self.seeds}.")
        known = (NOTHING, *self.known_levers)
        for lever in (*self.levers, *self.chosen):
            if lever not in known:
                hint = did_you_mean(lever, known)
                raise ValueError(f"{owner} has no lever {lever!r}.{hint} There are {', '.join(known)}.")
        self.training.check()
        self.hardware.check()

    @property
    def fixed(self) -> dict[str, Any]:
        """The settings that all networks share; all others are part of their names."""
        names = ("data", "validation", "training")
        return {name: value for name, value in settings_of(self).items() if name in names}

    def recipe(self, levers: tuple[str, ...], *, final: bool) -> Recipe:
        """A recipe: levers at the size of one of the two parts."""
        recipe = Recipe(
            plain_width=self.final_plain_width if final else self.plain_width,
            images=self.final_images if final else self.images,
            training=replace(self.training, epochs=self.final_epochs if final else self.epochs),
            augmentation=self.turns,
        )
        for lever in levers:
            recipe = recipe.pulled(self.known_levers.get(lever, {}))
        return recipe


@dataclass(frozen=True, kw_only=True)
class Trial:
    """One network: its levers, its part of the study, its size and its seed."""

    part: str
    levers: tuple[str, ...]
    recipe: Recipe
    seed: int

    @property
    def name(self) -> str:
        """Unique name in its study."""
        return f"{self.part}: {self.network}"

    @property
    def network(self) -> str:
        """Name of the training, which both parts may share."""
        recipe = self.recipe
        return (
            f"{' + '.join(self.levers)}, width {recipe.plain_width}, {recipe.images} images, "
            f"{recipe.training.epochs} epochs, seed {self.seed}"
        )


def trials(config: RecordStudy) -> list[Trial]:
    """Every network of the settings."""
    made = [
        Trial(part="levers", levers=(lever,), recipe=config.recipe((lever,), final=False), seed=seed)
        for seed in range(config.lever_seeds) for lever in config.levers
    ]  # fmt: skip
    chosen = config.chosen or (NOTHING,)
    recipe = config.recipe(chosen, final=True)
    made += [Trial(part="record", levers=chosen, recipe=recipe, seed=seed) for seed in range(config.seeds)]
    return made


def study_record(config: RecordStudy, progress: ProgressCallback = silent) -> Record:
    """Train and test every network of the settings; finished networks are not repeated."""
    work = Work(config, progress)
    journal = Journal(config.out, config.fixed, overwrite=config.overwrite, also=(_NETWORKS,))
    journal.collect({trial.name: partial(work.rows, trial) for trial in trials(config)})
    rows = [row for part in journal.done.values() for row in part]  # whichever call asked for them
    return gathered(_as_whole(config, rows), rows, journal.source)


def _as_whole(config: RecordStudy, rows: Sequence[Row]) -> RecordStudy:
    """The settings for all rows of the sizes of this call."""

    def seeds(part: str) -> int:
        return max((int(row["seed"] or 0) + 1 for row in rows if row["part"] == part), default=0)

    done = {str(row["levers"]): None for row in rows if row["part"] == "levers"}
    return replace(config, levers=tuple(done), lever_seeds=max(1, seeds("levers")), seeds=seeds("record"))


class Work:
    """The images of a study, and the work on them."""

    def __init__(self, config: RecordStudy, progress: ProgressCallback) -> None:
        self.config, self.progress = config, progress
        self.all = load_split(config.data, "train", config.data_dir, progress)
        self.rest, self.held_out = self.all.hold_out(config.validation, _HELD_OUT_SEED)
        for trial in trials(config):
            there = len(self._source(trial))
            if trial.recipe.images > there:
                without = " without those held out" if trial.part == "levers" else ""
                raise ValueError(
                    f"study {config.study} expects at most {there} images for {trial.name!r}, the training images of "
                    f"{config.data}{without}, got {trial.recipe.images}."
                )

    def _source(self, trial: Trial) -> ImageSet:
        """Training images of a trial; held-out images are included only in the final recipe."""
        is_enough = trial.part == "levers" or trial.recipe.images <= len(self.rest)
        return self.rest if is_enough else self.all

    @cached_property
    def test(self) -> ImageSet:
        """The test images."""
        return load_split(self.config.data, "test", self.config.data_dir, self.progress)

    def rows(self, trial: Trial) -> list[Row]:
        """Train one network and evaluate it on the held-out images, or on the test images."""
        recipe = trial.recipe
        network, seconds = self.trained(trial)
        columns: Row = {
            "part": trial.part, "levers": " + ".join(trial.levers), "seed": trial.seed, "train": self.config.data,
            "images": recipe.images, "epochs": recipe.training.epochs, "plain_width": recipe.plain_width,
            "parameters": count_parameters(network), "multiply_adds": count_multiply_adds(network, (1, 28, 28)),
            "seconds": seconds, "family": "spectral",
            "group": str(recipe.network.get("basis", "spectral-c8")).split("-")[1], "kernel": 5,
        }  # fmt: skip
        asked = {"levers": self.held_out}.get(trial.part) or self.test
        angles = _VALIDATION_ANGLES if trial.part == "levers" else TEST_SEED
        tests = {"rotated": asked.floats()}
        if not is_turned(self.config.data):
            tests = {"upright": tests["rotated"], "rotated": rotated(asked, angles).images}
        found = {name: error_percent(network, images, asked.labels) for name, images in tests.items()}
        for copies in self.config.copies:
            found[f"rotated, {copies} copies"] = error_percent(
                turned_copies(network, copies), tests["rotated"], asked.labels
            )
        where = "validation" if trial.part == "levers" else "test"
        return [{**columns, "images_of": where, "test": name, "test_error_percent": e} for name, e in found.items()]

    def trained(self, trial: Trial) -> tuple[nn.Module, float | None]:
        """The network of a trial, and the processor time of the epochs of this process, in seconds.

        A stopped training resumes.
        """
        config, recipe = self.config, trial.recipe
        folder = config.out / _NETWORKS / re.sub(r"[^a-z0-9]+", "-", trial.network.lower())
        ends = [time.process_time()]
        chosen = self._source(trial).take(recipe.images, trial.seed)
        task = self._task(trial)
        network = orbitconv.fit(
            Builder("studies.records.networks:digits", recipe.arguments), chosen, task=task, training=recipe.training,
            augmentation=recipe.augmentation, hardware=config.hardware, seed=trial.seed, out=folder,
            resume=folder.exists(), progress=named(self.progress, trial.network),
            on_epoch=lambda _: ends.append(time.process_time()) is not None,
        )  # fmt: skip
        epochs = len(ends) - 1  # of this process
        seconds = round((ends[-1] - ends[0]) / epochs * recipe.training.epochs, 1) if epochs else None
        return network.network.eval(), seconds

    def _task(self, trial: Trial) -> Task:
        recipe = trial.recipe
        labels = Classification(recipe.training.label_smoothing)
        if recipe.taught:
            first = replace(recipe, plain_width=recipe.taught, taught=0)
            teacher = replace(trial, levers=("teacher",), recipe=first)
            return Distilled(labels, teacher=self.trained(teacher)[0])
        if recipe.agree != "none":
            return TurnedCopies(labels, weight=recipe.weight, agree=recipe.agree, num_classes=len(self.all.classes))
        return labels
