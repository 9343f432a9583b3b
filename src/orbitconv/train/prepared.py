"""Data prepared for training: images to train and test on, the task, and what is known about the images."""

import copy
import itertools
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Literal, final

import torch
from torch.utils.data import TensorDataset

from orbitconv._support.progress import ProgressCallback, silent
from orbitconv.data import ImageSet, PictureDataset, PictureFolder, Scaling, folder
from orbitconv.data.folders.splitting import write_split
from orbitconv.data.folders.table import list_pictures
from orbitconv.train.config import TrainConfig
from orbitconv.train.datasets import is_path
from orbitconv.train.examples import Examples, Source
from orbitconv.train.segmentation import Segmentation
from orbitconv.train.settings import Pictures
from orbitconv.train.streamed import Streamed
from orbitconv.train.task import Classification, MultiLabel, Task, balanced_weights

Balance = Literal["none", "weights", "sampler"]

_IN_MEMORY = 1 << 30
"""Bytes of 32-bit floats up to which pictures of one size are read into memory."""


@final
@dataclass(frozen=True, eq=False, kw_only=True)
class Prepared:
    """Data, ready for a training: what to train and, by name, to test on, and what is learned.

    The size of images is None if they differ; there is a scaling if they are from files, and the folder that all is
    from.
    """

    train: Source
    tests: Mapping[str, Source] = field(default_factory=dict)
    task: Task
    classes: tuple[str, ...]
    channels: int
    image_size: tuple[int, int] | None
    scaling: Scaling | None = None
    pictures: PictureFolder | None = None


def from_image_sets(train: ImageSet, tests: Mapping[str, ImageSet], task: Task) -> Prepared:
    """Published data sets."""
    channels, height, width = train.images.shape[1:]
    return Prepared(
        train=Examples.of(train), tests={name: Examples.of(one) for name, one in tests.items()}, task=task,
        classes=train.classes, channels=channels, image_size=(height, width),
    )  # fmt: skip


def from_folder(
    pictures: PictureFolder,
    *,
    balance: Balance = "none",
    label_smoothing: float = 0.0,
    dice: float = 1.0,
    workers: int = 0,
    train_images: int | None = None,
    test_images: int | None = None,
    seed: int = 0,
    progress: ProgressCallback = silent,
) -> Prepared:
    """User pictures: in memory if they are small and of one size, else read on demand.

    `dice` weighs the Dice loss, for masks; label smoothing is for classification. Of the pictures some may be taken: to
    train on at random, by the seed, to test on evenly spread over the sorted ones. Tests are "validation" and "test" as
    far as the folder has them.
    """
    train = pictures.train
    shape = train.shape
    if shape is None:
        raise ValueError(
            "train expects training pictures of one size, got several. Give --pictures.size, or --pictures.window."
        )
    if balance == "sampler" and pictures.task != "classification":
        raise ValueError(f"train draws classes evenly for classification, got {pictures.task}. Balance by weights.")
    if train_images is not None and train_images < len(train):
        order = torch.randperm(len(train), generator=torch.Generator().manual_seed(seed))
        train = _taken(train, order[:train_images].tolist())
    weights = None
    if balance == "sampler":
        weights = 1 / train.labels.bincount().float()[train.labels]
    tests = {
        name: data if test_images is None else _taken(data, evenly(len(data), test_images))
        for name, data in (("validation", pictures.val), ("test", pictures.test)) if data is not None
    }  # fmt: skip
    parts = {"train": train, **tests}
    reports = _as_one(progress, {name: len(data) for name, data in parts.items() if _fits(data)})
    class_weights = balanced_weights(pictures.found.counts["train"]) if balance == "weights" else None
    task: Task = {
        "classification": Classification(label_smoothing, class_weights),
        "multilabel": MultiLabel(class_weights),
        "segmentation": Segmentation(pictures.ignore_index, class_weights, dice),
    }[pictures.task]
    return Prepared(
        train=_source(train, workers, weights, reports.get("train")),
        tests={name: _source(data, workers, None, reports.get(name)) for name, data in tests.items()},
        task=task, classes=pictures.classes, channels=pictures.channels,
        image_size=shape[1:], scaling=pictures.scaling, pictures=pictures,
    )  # fmt: skip


def open_folder(
    config: TrainConfig, *, cache: Path | None = None, record: Path | None = None, progress: ProgressCallback = silent
) -> PictureFolder:
    """The pictures that settings name."""
    asked: Pictures = config.pictures
    known = record if record is not None and (record / "split.csv").exists() else None
    return folder(
        config.data, channels=asked.channels, scaling=asked.scaling, pages=asked.pages, size=asked.size,
        window=asked.window, objects=asked.objects, ignore_index=asked.ignore_index, val_share=asked.val_share,
        test_share=asked.test_share, max_unreadable=asked.max_unreadable, seed=config.seed, record=known, cache=cache,
        progress=progress,
    )  # fmt: skip


def record_split(pictures: PictureFolder, where: Path) -> None:
    """Record the split, if it was drawn."""
    if not any(note.startswith("split: drawn") for note in pictures.found.notes):
        return
    root, named = pictures.found.root, {}
    for split in pictures.found.pictures:
        for path in pictures.split(split).names:  # type: ignore[arg-type]
            named[path.relative_to(root).as_posix() if path.is_relative_to(root) else path.as_posix()] = split
    write_split(where, sorted(named), [named[name] for name in sorted(named)])


def _fits(data: PictureDataset) -> bool:
    """Whether pictures are read into memory."""
    return data.window is None and data.shape is not None and 4 * len(data) * math.prod(data.shape) <= _IN_MEMORY


def _as_one(progress: ProgressCallback, parts: Mapping[str, int]) -> dict[str, ProgressCallback]:
    """Callbacks of several parts, each of so many pictures, which together are one progress."""
    total = sum(parts.values())

    def report(before: int, what: str, done: int, _: int) -> None:
        progress(what, before + done, total)

    begun = itertools.accumulate(parts.values(), initial=0)
    return {name: partial(report, before) for name, before in zip(parts, begun, strict=False)}


def _source(
    data: PictureDataset, workers: int, weights: torch.Tensor | None, progress: ProgressCallback | None
) -> Source:
    """Pictures in memory, with the progress of reading them, or read on demand."""
    if progress is None:
        return Streamed(data=data, workers=workers, weights=weights)
    images, labels = data.stacked(progress)
    if weights is not None:
        return Streamed(data=TensorDataset(images, labels), weights=weights)
    return Examples(images, labels)


def evenly(n: int, wanted: int) -> list[int]:
    """Evenly spaced indices, so that every class of a sorted list occurs."""
    return [i * n // wanted for i in range(wanted)] if wanted < n else list(range(n))


def _taken(data: PictureDataset, chosen: list[int]) -> PictureDataset:
    """Some of the pictures."""
    if data.decoded is not None and chosen != list(range(len(chosen))):
        raise ValueError("train takes part of the training pictures only without a cache. Leave out --cache.")
    part = copy.copy(data)
    part.items = tuple(data.items[i] for i in chosen)
    return part


def task_named(data: str) -> str:
    """What is learned from data, before any picture is opened."""
    return list_pictures(Path(data).expanduser()).task if is_path(data) else "classification"


def as_unet(config: TrainConfig, task: str) -> TrainConfig:
    """Settings whose network fits the task: for masks, the U-Net in place of the default network."""
    if config.network.model.endswith(".safetensors"):
        return config
    masks = task == "segmentation"
    if masks and config.network.model == "small":
        return replace(config, network=replace(config.network, model="unet"))
    if masks != (config.network.model == "unet"):
        wanted = "unet, which labels pixels," if masks else "another network than unet, which labels pixels,"
        raise ValueError(f"train expects {wanted} for {task}, got {config.network.model}.")
    return config
