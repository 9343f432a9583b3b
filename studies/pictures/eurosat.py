"""Satellite images of ten classes, at equal parameters and at equal training time."""

import statistics
import time
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

from torch import Tensor

import orbitconv
from orbitconv import Builder
from orbitconv._support.checks import check_positive
from orbitconv._support.progress import ProgressCallback, silent
from orbitconv.models import count_multiply_adds, count_parameters
from orbitconv.records.record import Record, Row
from orbitconv.train import Classification, Training
from studies.base.journal import Journal
from studies.base.settings import gathered
from studies.networks.step_times import seconds_of_steps
from studies.pictures.settings import PictureStudy, Subject, compared
from studies.pictures.training import trained

Examples = tuple[Tensor, Tensor]

_VALIDATION = 0.15
_STEPS = "time of a training step"


@dataclass(frozen=True, kw_only=True)
class EuroSat(PictureStudy):
    """Classify satellite images of ten kinds of land with a plain network and group networks.

    Plain networks of the `equal_time` widths are also trained for as long as a group network. A stopped study resumes;
    later calls may add seeds and comparisons at equal time.
    """

    study: ClassVar[str] = "eurosat"
    out: Path = Path("runs/eurosat")
    plain_width: int = 12
    """Channels of the first stage of the plain network; all others get widths that make them as large."""
    equal_time: tuple[int, ...] = (12,)
    """Channels of the first stage of the plain networks that get the training time of a group network."""
    time_of: tuple[str, ...] = ("spectral-c8-k3", "spectral-d8-k3")
    """Bases whose networks set that time."""
    training: Training = field(
        default_factory=lambda: Training(epochs=8, batch_size=32, learning_rate=1e-2, weight_decay=1e-2)
    )
    validation: bool = False
    """Test on a stratified part of the training pictures, held out, to choose settings without the test set."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_positive("study eurosat", **{f"equal_time[{i}]": width for i, width in enumerate(self.equal_time)})
        if not set(self.time_of) <= set(self.bases):
            raise ValueError(f"study eurosat expects time_of out of {', '.join(self.bases)}, got {self.time_of}.")

    @property
    def fixed(self) -> dict[str, Any]:
        """Settings that a resumed study must share."""
        return {name: value for name, value in super().fixed.items() if name not in {"equal_time", "time_of"}}


def study_eurosat(config: EuroSat, progress: ProgressCallback = silent) -> Record:
    """Time a training step of every network, then train and test all, seed by seed."""
    _ = config.pictures  # refused before a folder is made
    journal = Journal(config.out, config.fixed, overwrite=config.overwrite, also=("networks",))
    train, test = pictures(config, progress)
    equal = compared(config)
    widths = sorted(set(config.equal_time))
    plain = [Subject(f"plain, {width} channels", None, width, config.training.epochs) for width in widths]
    steps = {
        str(row["network"]): float(row["step_ms"] or 0)
        for row in journal.rows(f"{_STEPS}, {widths}", partial(_steps, config, [*equal, *plain], train, progress))
    }
    longer = [
        replace(
            one, name=f"{one.name}, as long as {other.name}",
            epochs=max(1, round(one.epochs * steps[other.name] / steps[one.name])),
        )
        for other in equal if other.basis in config.time_of for one in plain
    ]  # fmt: skip
    steps |= {one.name: steps[one.name.partition(", as long as ")[0]] for one in longer}
    tables = {"equal parameters": equal, "equal time": longer}
    parts = {
        f"{table}: {one.name}, seed {seed}": partial(
            _work, config, table, one, seed, steps[one.name], train, test, progress
        )
        for seed in range(config.seeds) for table, subjects in tables.items() for one in subjects
    }  # fmt: skip
    journal.collect(parts)
    done = (row for rows in journal.done.values() for row in rows if "table" in row)  # whichever call asked for them
    return gathered(config, done, journal.source)


def pictures(config: EuroSat, progress: ProgressCallback = silent) -> tuple[Examples, Examples]:
    """Training and test pictures, in memory."""
    share = _VALIDATION if config.validation else None
    found = orbitconv.data.folder(config.pictures, val_share=share, progress=progress)
    return found.train.stacked(progress), found.split("val" if config.validation else "test").stacked(progress)


def _builder(subject: Subject, classes: int) -> Builder:
    arguments = {"basis": subject.basis, "plain_width": subject.plain_width, "num_classes": classes}
    return Builder("studies.pictures.networks:satellite", arguments)


def _steps(config: EuroSat, subjects: list[Subject], train: Examples, progress: ProgressCallback) -> list[Row]:
    """Median processor time of a training step of every network, in milliseconds."""
    total, classes = config.training.batch_size, int(train[1].max()) + 1
    seconds = seconds_of_steps(
        {one.name: _builder(one, classes).build(("studies",)) for one in subjects},
        (train[0][:total], train[1][:total]), Classification(),
        config.plan(config.training.epochs), config.rounds, time.process_time, progress,
    )  # fmt: skip
    return [{"network": name, "step_ms": 1e3 * statistics.median(own)} for name, own in seconds.items()]


def _work(
    config: EuroSat, table: str, subject: Subject, seed: int, step_ms: float, train: Examples, test: Examples,
    progress: ProgressCallback,
) -> list[Row]:  # fmt: skip
    builder = _builder(subject, int(train[1].max()) + 1)
    network, seconds = trained(subject.name, seed, builder, train, config.out, config.plan(subject.epochs), progress)
    return [{
        "table": table, "network": subject.name, "family": subject.family, "group": subject.group, "kernel": 3,
        "seed": seed, "train": "eurosat", "epochs": subject.epochs,
        "parameters": count_parameters(network.network),
        "multiply_adds": count_multiply_adds(network.network, tuple(train[0].shape[1:])),
        "step_ms": round(step_ms, 2), "seconds": seconds, "test": "validation" if config.validation else "upright",
        "test_error_percent": orbitconv.evaluate(network, test)["error_percent"],
    }]  # fmt: skip
