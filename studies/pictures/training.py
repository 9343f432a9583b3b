"""One network of a study of pictures, trained in its own folder."""

import re
import time
from dataclasses import replace
from pathlib import Path
from typing import Protocol

import orbitconv
from orbitconv import Builder
from orbitconv._support.progress import FIGURES, ProgressCallback
from orbitconv.train import Augmentation, Hardware, TrainedNetwork, Training
from orbitconv.train.fitting import Data


class Named(Protocol):
    """A training: unique name in its study, and number of epochs."""

    @property
    def name(self) -> str:
        """Name of its folder."""
        ...

    @property
    def epochs(self) -> int:
        """Passes over the pictures."""
        ...


class Settings(Protocol):
    """Settings of a study that trainings use."""

    @property
    def out(self) -> Path:
        """Folder of the study."""
        ...

    @property
    def training(self) -> Training:
        """How to train, except for the epochs."""
        ...

    @property
    def augmentation(self) -> Augmentation:
        """Augmentation of the pictures."""
        ...

    @property
    def hardware(self) -> Hardware:
        """What to compute on."""
        ...


def trained(
    subject: Named,
    seed: int,
    builder: Builder,
    data: Data,
    config: Settings,
    progress: ProgressCallback,
) -> tuple[TrainedNetwork, float]:
    """The network, and the processor time of its training in seconds; a stopped training resumes.

    Other processes do not count. The time of the epochs of this process is extrapolated to all epochs.
    """
    name = f"{subject.name}, {subject.epochs} epochs, seed {seed}"
    folder = folder_of(config.out, name)

    def show(what: str, done: int, total: int) -> None:
        progress(f"{name}{FIGURES}{what.partition(FIGURES)[2]}", done, total)

    ends = [time.process_time()]

    def clock(_row: object) -> bool:
        ends.append(time.process_time())
        return False

    network = orbitconv.fit(
        builder, data, training=replace(config.training, epochs=subject.epochs), augmentation=config.augmentation,
        hardware=config.hardware, seed=seed, out=folder, resume=folder.exists(), progress=show, on_epoch=clock,
    )  # fmt: skip
    network.save(folder / "model.safetensors")
    epochs = len(ends) - 1
    seconds = (
        (ends[-1] - ends[0]) / epochs * subject.epochs if epochs else sum(float(r["seconds"]) for r in network.rows)
    )
    return network, round(seconds, 1)


def folder_of(study: Path, name: str) -> Path:
    """Folder of a training."""
    return study / "networks" / re.sub(r"[^a-z0-9]+", "-", name.lower())
