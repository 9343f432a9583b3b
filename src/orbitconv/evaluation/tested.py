"""Test a trained network of any task on labelled images, as they are and turned."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import astuple, replace
from pathlib import Path
from typing import Any, get_args

import torch
from jaxtyping import Float
from torch import Tensor

from orbitconv._support.devices import Device, find_device
from orbitconv._support.progress import ProgressCallback, shown_progress, silent
from orbitconv.data import PictureDataset
from orbitconv.evaluation.network_facts import layers_record
from orbitconv.evaluation.turning import RANDOM, by_angle, middle_square, turned_figures
from orbitconv.metrics.objects import THRESHOLDS, match_objects, object_f1
from orbitconv.metrics.splitting import Splitting, objects_of
from orbitconv.train.config import TrainConfig
from orbitconv.train.evaluation import count
from orbitconv.train.examples import Batch, Source, as_numbers
from orbitconv.train.fitting import Data, prepared
from orbitconv.train.networks import TrainedNetwork, read_trained
from orbitconv.train.prepared import Prepared, from_folder, open_folder
from orbitconv.train.segmentation import Segmentation

_LAYER_SIDE, _LAYER_PIXELS = 128, 1 << 18
"""Longest side, and pixels of all images together, that layers are measured on."""


def evaluate(
    network: TrainedNetwork | Path | str,
    data: Data,
    *,
    angles: Sequence[float] = (),
    layers: int = 0,
    device: Device = "auto",
    progress: ProgressCallback | None = None,
) -> dict[str, Any]:
    """Test a trained network.

    Args:
        network: The result of `orbitconv.fit`, or a file or folder of a training.
        data: As for `orbitconv.fit`. A folder is tested on its test split, else its validation split, else all of it.
        angles: Angles in degrees, counter-clockwise, by which images (and masks) are turned too: about the centre of
            their largest middle square, with zeros from outside, which count in no mask.
        layers: Number of images, the first ones, to measure the equivariance error of every layer on; 0 for none.
        device: Where to compute.
        progress: Called with (what, done, total) after each batch. None shows a bar on the terminal after two seconds;
            `orbitconv.data.silent` shows nothing.

    Returns:
        All figures of the task by name: `error_percent` first, those of each class as lists. With `angles` also
        `error_at`, the error by angle in percent, and `changed_at`: the difference to the network's own output for the
        upright image, turned likewise, in percent; it is 0 if the output turns with the image. `error_random` and
        `changed_random` are those of a random angle for each image. With `layers` also `equivariance`. For masks
        that number objects `object_f1`, by IoU threshold, of the connected parts of the foreground, and
        `object_f1_watershed` of these cut where objects touch.

    Raises:
        ValueError: If channels or classes are not those of the network, angles are not finite, or there is no image.
    """
    trained = network if isinstance(network, TrainedNetwork) else read_trained(network)
    with shown_progress(progress) as report:
        ready = prepared(data, trained.task, progress=report)
        return evaluate_prepared(trained, ready, angles=angles, layers=layers, device=device, progress=report)


def evaluate_prepared(
    trained: TrainedNetwork,
    data: Prepared,
    *,
    angles: Sequence[float] = (),
    layers: int = 0,
    device: Device = "auto",
    progress: ProgressCallback = silent,
) -> dict[str, Any]:
    """Test a trained network on loaded data, as `evaluate` does: at angles in degrees, its layers on so many images."""
    if data.channels != trained.in_channels:
        raise ValueError(f"The network takes images of {trained.in_channels} channels, got {data.channels}.")
    if data.pictures is not None and trained.classes and data.classes != trained.classes:
        raise ValueError(
            f"The network knows the classes {', '.join(trained.classes)}; those of the data are "
            f"{', '.join(data.classes)}."
        )
    if not all(map(math.isfinite, angles)):
        raise ValueError(f"evaluate expects finite angles in degrees, got {tuple(angles)}.")
    where = find_device("orbitconv evaluate", device)
    module = trained.network.to(where)
    source = data.tests.get("test", data.tests.get("validation", data.train)).to(where)
    counts = count(module, _counted(source, progress), trained.task)
    if counts is None:
        raise ValueError("evaluate expects one image or more, got none.")
    found: dict[str, Any] = trained.task.details(counts.cpu())
    if angles:
        figures = turned_figures(module, source, trained.task, angles, progress)
        found["error_at"], found["changed_at"] = (
            by_angle(figures, name) for name in ("error_percent", "changed_percent")
        )
        found["error_random"], found["changed_random"] = astuple(figures[RANDOM])
    if layers:
        found["equivariance"] = layers_record(module, few_images(source, layers))
    pictures = getattr(source, "data", None)
    if isinstance(trained.task, Segmentation) and isinstance(pictures, PictureDataset) and pictures.objects:
        for name, values in zip(("object_f1", "object_f1_watershed"), _objects(trained, source, pictures), strict=True):
            found[name] = {f"{threshold:g}": value for threshold, value in zip(THRESHOLDS, values, strict=True)}
    return found


def pictures_for(
    trained: TrainedNetwork,
    config: TrainConfig,
    folder: Path | None,
    test_images: int | None,
    progress: ProgressCallback,
) -> Prepared:
    """The pictures that settings name, scaled as a network knows them, split as its training in a folder split them."""
    config = replace(config, pictures=replace(config.pictures, channels=trained.in_channels))
    pictures = open_folder(config, record=folder, progress=progress)
    for part in (pictures.train, pictures.val, pictures.test):
        if part is not None and trained.scaling is not None:
            part.scaling = trained.scaling
    return from_folder(pictures, train_images=trained.config.train_images, test_images=test_images)


def _counted(source: Source, progress: ProgressCallback) -> Iterator[Batch]:
    """All images once, with progress after each batch."""
    seen = 0
    for images, labels in source.batches(0, 1):
        yield images, labels
        seen += len(images)
        progress("evaluate", min(seen, len(source)), len(source))


def few_images(source: Source, wanted: int) -> Float[Tensor, "n c s s"]:
    """The middle squares of the first images, few enough for the features of all layers to fit into memory."""
    images: list[Tensor] = []
    for batch, _ in source.batches(0, 1):
        images += as_numbers(batch)
        if len(images) >= wanted:
            break
    side = min(_LAYER_SIDE, *(min(one.shape[-2:]) for one in images))
    number = max(1, min(wanted, _LAYER_PIXELS // side**2))
    squares = [one[(..., *middle_square((one.shape[-2], one.shape[-1]), side))] for one in images[:number]]
    return torch.stack(squares)


@torch.no_grad()
def _objects(trained: TrainedNetwork, source: Source, pictures: PictureDataset) -> tuple[list[float], list[float]]:
    """F1 of objects: of the connected parts of what is not background, and of these cut by a watershed."""
    ways = get_args(Splitting)
    totals = {way: torch.zeros(len(THRESHOLDS), 3, dtype=torch.int64) for way in ways}
    number = 0
    for images, _ in source.batches(0, 1):
        said: Tensor = trained(as_numbers(images)).argmax(1).cpu()
        for one in said:
            true = pictures.numbered(number)
            for way in ways:
                totals[way] += match_objects(torch.from_numpy(objects_of(one.numpy(), way)).long(), true)
            number += 1
    first, second = (object_f1(totals[way]).tolist() for way in ways)
    return first, second
