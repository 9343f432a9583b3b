"""A plain network, and its conversion from scratch and from its filters: upright digits, and satellite pictures."""

import os
import time
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

import orbitconv
from orbitconv._support.checks import check_positive
from orbitconv._support.progress import ProgressCallback, silent
from orbitconv.data import load
from orbitconv.data.rotation import rotated_set
from orbitconv.groups import parse_group
from orbitconv.models import count_multiply_adds, count_parameters
from orbitconv.records.command import command_of
from orbitconv.records.record import Record, Row
from orbitconv.train import Augmentation, Training
from studies.base.journal import Journal
from studies.base.progress import named
from studies.base.settings import StudySettings

Examples = tuple[Tensor, Tensor]

EXAMPLE = 64
"""Training pictures for the projection of inherited filters."""


@dataclass(frozen=True, kw_only=True)
class ConversionStudy(StudySettings):
    """Train a plain network, convert it, and train its conversion from scratch and from the plain network's filters.

    On upright digits all train for as many epochs. On satellite pictures, with a share of the labels and all, images
    are rotated at random during training, and the plain network gets as much time as a converted one. The pictures
    are those of a folder eurosat/ in data_dir or ORBITCONV_DATA.
    """

    study: ClassVar[str] = "conversion"
    out: Path = Path("runs/conversion")
    seeds: int = 3
    """Networks of each kind, from different seeds."""
    group: str = "c8"
    """Group that networks are converted to, with spectral bases."""
    digits_width: int = 6
    """Channels of the first layer of the network for digits, half of the others."""
    pictures_width: int = 4
    """Channels of the first layers of the network for pictures; later ones have two and four times as many."""
    train_digits: int = 8000
    """Upright digits to train on."""
    test_images: int | None = 5000
    """Digits and pictures to test on; all if None."""
    shares: tuple[float, ...] = (0.1, 1.0)
    """Shares of the labels of the satellite pictures."""
    digits: Training = field(default_factory=lambda: Training(epochs=4, batch_size=64, learning_rate=5e-3))
    """Training on digits."""
    pictures: Training = field(
        default_factory=lambda: Training(epochs=3, batch_size=32, learning_rate=1e-2, weight_decay=1e-2)
    )
    """Training on all labels; the epochs for a share of them grow with one over its square root."""

    def __post_init__(self) -> None:
        check_positive(
            "study conversion", seeds=self.seeds, digits_width=self.digits_width, pictures_width=self.pictures_width
        )
        parse_group(self.group)
        if not all(0 < share <= 1 for share in self.shares):
            raise ValueError(f"study conversion expects shares above 0 and up to 1, got {self.shares}.")
        self.digits.check()
        self.pictures.check()


def study_conversion(config: ConversionStudy, progress: ProgressCallback = silent) -> Record:
    """Run both parts, seed by seed."""
    journal = Journal(config.out, config.fixed, overwrite=config.overwrite)
    parts = {}
    for seed in range(config.seeds):
        parts[f"digits, seed {seed}"] = partial(_digits, config, seed, progress)
        for share in config.shares:
            parts[f"pictures, {share:.0%} of the labels, seed {seed}"] = partial(
                _pictures, config, share, seed, progress
            )
    record = Record(
        study="conversion", command=command_of("python -m studies conversion", config, "conversion"),
        config={**config.fixed, "seeds": config.seeds}, source=journal.source,
    )  # fmt: skip
    for rows in journal.collect(parts).values():
        for row in rows:
            plain = str(row["network"]).startswith("plain")
            record.add(
                family="plain" if plain else "spectral", group="c1" if plain else config.group,
                kernel=5 if row["data"] == "digits" else 3, train=row["data"], **row,
            )  # fmt: skip
    record.source = journal.source
    return record


def digits_network(width: int) -> nn.Sequential:
    """A plain network for digits of 28 pixels, from torch's own layers."""
    return nn.Sequential(
        *_block(1, width, 5), nn.MaxPool2d(2), *_block(width, 2 * width, 5), nn.MaxPool2d(2),
        *_block(2 * width, 2 * width, 5), nn.AdaptiveMaxPool2d(1), nn.Flatten(), nn.Linear(2 * width, 10),
    )  # fmt: skip


def pictures_network(width: int, classes: int) -> nn.Sequential:
    """A plain network for pictures of 64 pixels, from torch's own layers."""
    blocks: list[nn.Module] = []
    before = 3
    for share in (1, 1, 2, 4):
        blocks += [*_block(before, share * width, 3), nn.MaxPool2d(2)]
        before = share * width
    return nn.Sequential(
        *blocks, *_block(before, before, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(before, classes)
    )


def _block(before: int, after: int, size: int) -> list[nn.Module]:
    return [nn.Conv2d(before, after, size, padding=size // 2), nn.BatchNorm2d(after), nn.ReLU()]


def _digits(config: ConversionStudy, seed: int, progress: ProgressCallback) -> list[Row]:
    """Train all networks on upright digits for equally many epochs; test upright and rotated after each."""
    train = load("mnist", "train", data_dir=config.data_dir).take(config.train_digits, seed=seed)
    test = load("mnist", "test", data_dir=config.data_dir).take(config.test_images or 10_000, seed=0)
    examples, turned = (train.floats(), train.labels), rotated_set(test)
    tests = {"upright": (test.floats(), test.labels), "rotated": (turned.floats(), turned.labels)}
    torch.manual_seed(seed)
    plain = digits_network(config.digits_width)
    kinds: dict[str, Any] = {"plain": plain, "from scratch": None, "inherited": "inherit"}
    rows = []
    for kind, weights in kinds.items():
        network = plain if kind == "plain" else _converted(config, plain, weights, examples[0], seed)
        rows += _learn(kind, network, examples, tests, config.digits, Augmentation(), seed, progress)
    return [{"data": "digits", "share": 1.0, "seed": seed, **row} for row in rows]


def _pictures(config: ConversionStudy, share: float, seed: int, progress: ProgressCallback) -> list[Row]:
    """The plain network, its conversions, and the plain network with the training time of a conversion."""
    root = config.data_dir or os.environ.get("ORBITCONV_DATA")
    if root is None:
        raise FileNotFoundError("study conversion expects the folder of the data in --data-dir or ORBITCONV_DATA.")
    found = orbitconv.data.folder(Path(root) / "eurosat", progress=progress)
    images, labels = found.train.stacked(progress)
    chosen = torch.randperm(len(labels), generator=torch.Generator().manual_seed(seed))[: round(share * len(labels))]
    examples, test = (images[chosen], labels[chosen]), found.split("test").stacked(progress)
    tests = {
        "test": test if config.test_images is None else (test[0][: config.test_images], test[1][: config.test_images])
    }
    training = replace(config.pictures, epochs=max(1, round(config.pictures.epochs / share**0.5)))
    augmentation = Augmentation(rotation="circle", flip=True)
    classes = len(found.classes)
    torch.manual_seed(seed)
    plain = pictures_network(config.pictures_width, classes)
    learn = partial(_learn, examples=examples, tests=tests, augmentation=augmentation, seed=seed, progress=progress)
    rows = learn("plain", plain, training=training)
    for kind, weights in (("from scratch", None), ("inherited", "inherit")):
        rows += learn(kind, _converted(config, plain, weights, examples[0], seed), training=training)
    seconds = {row["network"]: float(row["seconds"] or 0) for row in rows}
    longer = max(1, round(training.epochs * seconds["from scratch"] / max(seconds["plain"], 0.1)))
    torch.manual_seed(seed)
    again = pictures_network(config.pictures_width, classes)
    rows += learn("plain, as long as a converted one", again, training=replace(training, epochs=longer))
    return [{"data": "pictures", "share": share, "seed": seed, **row} for row in rows]


def _converted(config: ConversionStudy, plain: nn.Module, weights: Any, images: Tensor, seed: int) -> nn.Module:
    torch.manual_seed(seed)
    return orbitconv.convert(plain, config.group, example=images[:EXAMPLE], weights=weights)


def _learn(
    kind: str, network: nn.Module, examples: Examples, tests: dict[str, Examples], training: Training,
    augmentation: Augmentation, seed: int, progress: ProgressCallback,
) -> list[Row]:  # fmt: skip
    """Train a network, and test it before the first epoch and after each; seconds are processor time of training."""
    errors = [{name: error_of(network, test) for name, test in tests.items()}]
    start, spent = time.process_time(), 0.0

    def tested(_row: object) -> bool:
        nonlocal start, spent
        spent += time.process_time() - start
        errors.append({name: error_of(network, test) for name, test in tests.items()})
        network.train()
        start = time.process_time()
        return False

    orbitconv.fit(
        network, examples, training=training, augmentation=augmentation, seed=seed, on_epoch=tested,
        progress=named(progress, kind),
    )  # fmt: skip
    facts = {
        "network": kind, "epochs": training.epochs, "parameters": count_parameters(network),
        "multiply_adds": count_multiply_adds(network, tuple(examples[0].shape[1:])), "seconds": round(spent, 1),
    }  # fmt: skip
    return [
        {**facts, "test": name, "epoch": epoch, "test_error_percent": one[name]}
        for epoch, one in enumerate(errors) for name in tests
    ]  # fmt: skip


@torch.no_grad()
def error_of(network: nn.Module, test: Examples) -> float:
    """Share of wrong answers, in percent."""
    network.eval()
    wrong = sum(int((network(x).argmax(1) != y).sum()) for x, y in zip(*(t.split(250) for t in test), strict=True))
    return round(100 * wrong / len(test[1]), 3)
