"""Variants of inheriting filters, on upright digits, each compared with its plain twin after as many epochs."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils import parametrize

import orbitconv
from orbitconv._support.checks import check_positive
from orbitconv._support.progress import ProgressCallback, silent
from orbitconv.conversion import Converted
from orbitconv.data import load
from orbitconv.data.rotation import rotated_set
from orbitconv.models import TurnedCopies, count_parameters
from orbitconv.nn import GroupConv2d
from orbitconv.records.command import command_of
from orbitconv.records.grouping import mean_and_spread
from orbitconv.records.record import Record, Row
from orbitconv.train import Augmentation, Training
from studies.base.command import Shown, table
from studies.base.journal import Journal
from studies.base.progress import named
from studies.base.settings import StudySettings
from studies.base.summary import grouped, values
from studies.conversion.study import EXAMPLE, Examples, digits_network, error_of


@dataclass(frozen=True)
class Way:
    """How one variant differs from the first."""

    options: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    """Options of `orbitconv.convert`."""
    batch_size: int | None = None
    """Images in each step, for the plain twin too."""
    epochs: int | None = None
    """Epochs, for the plain twin too."""
    opening: float = 0.0
    """Share of the steps over which the mixing between angles grows from zero."""
    distilled: int = 0
    """Epochs that train on the mean output of the plain network over turned copies, instead of on labels."""


WAYS: Mapping[str, Way] = {
    "inherited": Way(),
    "from scratch": Way({"weights": None}),
    "batches of 64": Way(batch_size=64),
    "batches of 16": Way(batch_size=16),
    "antialiased pools": Way({"antialias": True}),
    "mean over the group": Way({"pool": "mean"}),
    "mixing opened gradually": Way(opening=0.5),
    "distilled from turned copies": Way(distilled=1),
}


@dataclass(frozen=True, kw_only=True)
class InheritingStudy(StudySettings):
    """Convert a network that was trained on upright digits in several ways, and train all on upright digits."""

    study: ClassVar[str] = "inheriting"
    may_change: ClassVar[frozenset[str]] = frozenset({"seeds", "ways"})
    out: Path = Path("runs/inheriting")
    seeds: int = 3
    """Networks from different seeds."""
    ways: tuple[str, ...] = tuple(WAYS)
    """Variants to run."""
    group: str = "c8"
    """Group that networks are converted to, with spectral bases."""
    width: int = 6
    """Channels of the first layer, half of the others."""
    train_digits: int = 8000
    """Upright digits to train on."""
    test_images: int = 5000
    """Digits to test on."""
    training: Training = field(default_factory=lambda: Training(epochs=4, batch_size=32, learning_rate=5e-3))
    """Training of all networks."""

    def __post_init__(self) -> None:
        check_positive("study inheriting", seeds=self.seeds, width=self.width)
        self.training.check()
        if unknown := [name for name in self.ways if name not in WAYS]:
            raise ValueError(f"study inheriting expects ways out of {', '.join(WAYS)}, got {', '.join(unknown)}.")


def study_inheriting(config: InheritingStudy, progress: ProgressCallback = silent) -> Record:
    """Run all variants, seed by seed."""
    journal = Journal(config.out, config.fixed, overwrite=config.overwrite)
    parts = {
        f"{name}, seed {seed}": partial(_try, config, name, seed, progress)
        for name in config.ways
        for seed in range(config.seeds)
    }
    record = Record(
        study="inheriting", command=command_of("python -m studies inheriting", config, "inheriting"),
        config={**config.fixed, "seeds": config.seeds, "ways": list(config.ways)}, source=journal.source,
    )  # fmt: skip
    plain = digits_network(config.width)
    converted = orbitconv.convert(plain, config.group, example=torch.zeros(1, 1, 28, 28))
    parameters = {"plain": count_parameters(plain), "converted": count_parameters(converted)}
    for rows in journal.collect(parts).values():
        for row in rows:
            facts = {"kernel": 5, "train": "digits", "parameters": parameters[str(row["network"])]}
            record.add(family="spectral", group=config.group, **facts, **row)
    record.source = journal.source
    return record


def _try(config: InheritingStudy, name: str, seed: int, progress: ProgressCallback) -> list[Row]:
    """A plain network and one variant of its conversion, trained alike."""
    way = WAYS[name]
    train = load("mnist", "train", data_dir=config.data_dir).take(config.train_digits, seed=seed)
    test = load("mnist", "test", data_dir=config.data_dir).take(config.test_images, seed=0)
    examples, turned = (train.floats(), train.labels), rotated_set(test)
    tests = {"upright": (test.floats(), test.labels), "rotated": (turned.floats(), turned.labels)}
    training = replace(
        config.training, epochs=way.epochs or config.training.epochs,
        batch_size=way.batch_size or config.training.batch_size,
    )  # fmt: skip
    told = named(progress, name)
    torch.manual_seed(seed)
    plain = digits_network(config.width)
    spent = _learn(plain, examples, training, seed, told)
    errors = {"plain": ({}, _errors(plain, tests), spent)}
    torch.manual_seed(seed)
    options = {"weights": "inherit", **way.options}
    network = orbitconv.convert(plain, config.group, example=examples[0][:EXAMPLE], **options)
    if way.opening:
        open_gradually(network, round(way.opening * training.epochs * config.train_digits / training.batch_size))
    before = _errors(network, tests)
    first, then = (replace(training, epochs=one) for one in (way.distilled, training.epochs - way.distilled))
    spent = distil(network, plain, examples[0], first, seed) if first.epochs else 0.0
    spent += _learn(network, examples, then, seed, told) if then.epochs > 0 else 0.0
    errors["converted"] = (before, _errors(network, tests), spent)
    facts = {"way": name, "seed": seed, "epochs": training.epochs, "batch_size": training.batch_size}
    return [
        {**facts, "network": kind, "test": one, "before_percent": first.get(one), "test_error_percent": last[one],
         "seconds": round(seconds, 1)}
        for kind, (first, last, seconds) in errors.items() for one in tests
    ]  # fmt: skip


def _learn(network: nn.Module, examples: Examples, training: Training, seed: int, told: ProgressCallback) -> float:
    """Train; returns the processor time in seconds."""
    start = time.process_time()
    orbitconv.fit(network, examples, training=training, augmentation=Augmentation(), seed=seed, progress=told)
    return time.process_time() - start


def distil(network: Converted, plain: nn.Module, images: Tensor, training: Training, seed: int) -> float:
    """Train on the mean output of the plain network over turned copies of each image; returns processor seconds."""
    start, copies = time.process_time(), network.group.num_rotations
    teacher = TurnedCopies(plain, copies, order=1).eval()
    steps = training.epochs * len(images) // training.batch_size
    optimizer = torch.optim.AdamW(network.parameters(), training.learning_rate, weight_decay=training.weight_decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, training.learning_rate, total_steps=steps)
    draw = torch.Generator().manual_seed(seed)
    for _ in range(steps):
        batch = images[torch.randint(len(images), (training.batch_size,), generator=draw)]
        with torch.no_grad():
            said = teacher(batch)
        loss = F.kl_div(network.train()(batch).log_softmax(1), said, reduction="batchmean", log_target=True)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    return time.process_time() - start


def _errors(network: nn.Module, tests: Mapping[str, Examples]) -> dict[str, float]:
    return {name: error_of(network, test) for name, test in tests.items()}


class Opened(nn.Module):
    """Coefficients whose share away from the identity grows from zero."""

    share: float = 0.0

    def forward(self, coefficients: Tensor) -> Tensor:
        """Scale the coefficients that mix angles."""
        return torch.cat([coefficients[:, :, :1], self.share * coefficients[:, :, 1:]], 2)


def open_gradually(network: nn.Module, steps: int) -> None:
    """Start group convolutions without mixing between angles, and reach full mixing after some training steps."""
    opened: list[Opened] = []
    for layer in network.modules():
        if isinstance(layer, GroupConv2d):
            opened.append(Opened())
            parametrize.register_parametrization(layer, "coefficients", opened[-1])
    done = 0

    def count(_module: nn.Module, _inputs: object) -> None:
        nonlocal done
        done += network.training
        for one in opened:
            one.share = min(1.0, done / steps)

    network.register_forward_pre_hook(count)


def show(_config: object, record: Record) -> Shown:
    """Errors of each variant and of its plain twin."""
    lines = []
    for name, rows in grouped(record.rows, "way").items():
        kinds = grouped([row for row in rows if row["test"] == "rotated"], "network")
        plain, own = (values(kinds[kind], "test_error_percent") for kind in ("plain", "converted"))
        before = values(kinds["converted"], "before_percent")
        cut = f"{sum(plain) / sum(own):.1f}"
        lines.append((str(name), *map(mean_and_spread, (plain, before, own), (2, 2, 2)), cut))
    header = ("way", "plain", "before training", "after", "times fewer errors")
    return Shown([table("Digits at any angle, trained upright: error in %", lines, *header, left=("way",))])
