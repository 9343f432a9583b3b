"""A network on images with labels of any task: its figures as they are, and turned by any angle."""

import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from orbitconv._support.devices import Device, find_device
from orbitconv._support.progress import ProgressCallback, silent
from orbitconv.data import PictureDataset
from orbitconv.metrics.objects import THRESHOLDS, match_objects, object_f1
from orbitconv.metrics.splitting import objects_of
from orbitconv.train.augmentation import Draws
from orbitconv.train.evaluation import count
from orbitconv.train.examples import Batch, Source, as_numbers
from orbitconv.train.fitting import Data, prepared
from orbitconv.train.networks import TrainedNetwork, read_trained
from orbitconv.train.prepared import Prepared
from orbitconv.train.segmentation import Segmentation
from orbitconv.train.settings import Augmentation
from orbitconv.train.task import Task

_TURNING = Augmentation(rotation="circle")


def evaluate(
    network: TrainedNetwork | Path | str,
    data: Data,
    *,
    angles: Sequence[float] = (),
    device: Device = "auto",
    progress: ProgressCallback = silent,
) -> dict[str, Any]:
    """Test a trained network.

    Args:
        network: What `orbitconv.fit` gave, or a file or folder of a training.
        data: As for `orbitconv.fit`; of a folder its test split, else its validation split, else all.
        angles: Angles in degrees, counter-clockwise, by which images (and masks) are turned too: about the centre of
            their largest middle square, with zeros from outside, which count in no mask.
        device: Where to compute.
        progress: Called after each test.

    Returns:
        All figures of the task by name: `error_percent` first, those of each class as lists; with `angles` also
        `error_at`, the error by angle; for masks that number objects `object_f1`, by IoU threshold.

    Raises:
        ValueError: If the images or classes are not those of the network.
    """
    trained = network if isinstance(network, TrainedNetwork) else read_trained(network)
    ready = prepared(data, trained.task)
    return evaluate_prepared(trained, ready, angles=angles, device=device, progress=progress)


def evaluate_prepared(
    trained: TrainedNetwork,
    data: Prepared,
    *,
    angles: Sequence[float] = (),
    device: Device = "auto",
    progress: ProgressCallback = silent,
) -> dict[str, Any]:
    """Test a trained network on data that are loaded; see `evaluate`.

    Args:
        trained: The network.
        data: The data.
        angles: Angles in degrees.
        device: Where to compute.
        progress: Called after each test.

    Returns:
        All figures by name.

    Raises:
        ValueError: If the images or classes are not those of the network, or angles are not finite.
    """
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
    total = 1 + len(angles)
    counts = count(module, source.batches(0, 1), trained.task)
    if counts is None:
        raise ValueError("evaluate expects one image or more, got none.")
    found: dict[str, Any] = trained.task.details(counts.cpu())
    progress("evaluate", 1, total)
    if angles:
        found["error_at"] = {}
    for done, degrees in enumerate(angles, start=2):
        at_angle = count(module, turned(source, trained.task, degrees), trained.task)
        assert at_angle is not None
        found["error_at"][f"{degrees:g}"] = trained.task.figures(at_angle.cpu())["error_percent"]
        progress("evaluate", done, total)
    pictures = getattr(source, "data", None)
    if isinstance(trained.task, Segmentation) and isinstance(pictures, PictureDataset) and pictures.objects:
        found["object_f1"] = {
            f"{threshold:g}": value
            for threshold, value in zip(THRESHOLDS, _objects(trained, source, pictures), strict=True)
        }
    return found


def turned(source: Source, task: Task, degrees: float) -> Iterator[Batch]:
    """Images and labels, turned about the centre of the largest middle square.

    Args:
        source: Images and labels.
        task: Knows what turning does to labels.
        degrees: Angle, counter-clockwise.

    Yields:
        Turned batches.
    """
    for images, labels in source.batches(0, 1):
        numbers = as_numbers(images)
        n, height, width = len(numbers), *numbers.shape[-2:]
        side = min(height, width)
        top, left = (height - side) // 2, (width - side) // 2
        window = (..., slice(top, top + side), slice(left, left + side))
        masks = labels[window] if labels.ndim > 2 else labels
        quarters, rest = divmod(degrees % 360, 90)
        none = torch.zeros(n, dtype=torch.int64)
        draws = Draws(
            flip=none.bool(), down=none, right=none, quarters=none + int(quarters),
            degrees=torch.full((n,), rest, dtype=torch.float32), pull=torch.zeros(n, 2, 4, 4),
        )  # fmt: skip
        yield task.augment(numbers[window], masks, _TURNING, draws.part(slice(None), numbers.device))


@torch.no_grad()
def _objects(trained: TrainedNetwork, source: Source, pictures: PictureDataset) -> list[float]:
    """F1 of objects, which are connected parts of what is not background."""
    total = torch.zeros(len(THRESHOLDS), 3, dtype=torch.int64)
    number = 0
    for images, _ in source.batches(0, 1):
        said: Tensor = trained(as_numbers(images)).argmax(1).cpu()
        for one in said:
            total += match_objects(torch.from_numpy(objects_of(one.numpy())).long(), pictures.numbered(number))
            number += 1
    return object_f1(total).tolist()
