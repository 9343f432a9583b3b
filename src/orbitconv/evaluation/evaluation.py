"""A trained network on a data set: its error upright and at every angle, and how equivariant each layer is."""

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import torch

from orbitconv._support.checks import check_positive
from orbitconv._support.devices import find_device
from orbitconv._support.files import check_writable
from orbitconv._support.json_text import without_nan
from orbitconv._support.progress import ProgressCallback, silent
from orbitconv.data import ImageSet, rotated
from orbitconv.data.rotation import TEST_SEED
from orbitconv.evaluation.network_facts import layers_record, network_facts, turned_copies
from orbitconv.evaluation.tested import evaluate_prepared, pictures_for
from orbitconv.records.command import command_of, settings_of
from orbitconv.records.record import Record
from orbitconv.train import TrainedNetwork, error_percent, read_trained
from orbitconv.train.datasets import is_path, is_turned, load_split
from orbitconv.train.examples import Pixels
from orbitconv.train.settings import Device

_IN_ROWS = {"error_at", "error_random", "changed_at", "changed_random", "equivariance"}
"""Figures of pictures of one's own that have a place of their own in a record."""


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """What is measured on a trained network."""

    data: str | None = None
    """Name of the data set, or path of pictures; by default the one it was trained on."""
    data_dir: Path | None = None
    """Folder with the data sets; by default ORBITCONV_DATA, then the user's cache, then a download."""
    test_images: int | None = None
    """Number of test images, the first ones; all by default."""
    angles: tuple[float, ...] | None = None
    """Angles in degrees, counter-clockwise, by which all images are turned: by default every 15 degrees, and none for a
    data set that is turned already; 0, 45 and 90 for pictures of one's own."""
    copies: int = 1
    """Average the scores of so many copies of each image, turned within one step of the network's group."""
    layers: bool = False
    """Measure the equivariance error of every layer too."""
    layer_images: int = 50
    """Number of images for that, the first ones."""
    device: Device = "auto"
    """Where to compute; "auto" takes a GPU where there is one."""
    trust: tuple[str, ...] = ()
    """Packages that the file of the network may call to build it."""
    results: Path | None = None
    """Write the record to this JSON file."""

    def __post_init__(self) -> None:
        number = {} if self.test_images is None else {"test_images": self.test_images}
        check_positive("evaluate", copies=self.copies, layer_images=self.layer_images, **number)
        if not all(map(math.isfinite, self.angles or ())):
            raise ValueError(f"evaluate expects finite angles in degrees, got {self.angles}.")


def evaluate_network(checkpoint: Path, config: Evaluation, progress: ProgressCallback = silent) -> Record:
    """Measure a trained network on test images.

    Returns:
        A row for each test: upright, each image at its own random angle, and at each angle; for a data set that is
        turned already its images as they are, which are rotated. Of pictures of one's own also `changed_percent`: how
        far the answer is another one than that before the turn. With `layers`, also
        `extra["equivariance"]`: the errors of each layer for every turn of the network's group, of C8 if it has none.
    """
    config = Evaluation(**{one.name: getattr(config, one.name) for one in fields(Evaluation)})
    check_writable(config.results, "--results")
    trained = read_trained(checkpoint, config.trust)
    name = config.data or trained.config.data
    if is_path(name):
        return _evaluate_pictures(checkpoint, trained, config, name, progress)
    angles = _angles(config, name)
    images = load_split(name, "test", config.data_dir, progress)
    _check_fit(trained, images)
    images = images if config.test_images is None else images.take(config.test_images)
    record, columns = _record(checkpoint, trained, config, name, angles)
    device = find_device("orbitconv evaluate", config.device)
    network, images = trained.network.to(device), images.to(device)
    asked = turned_copies(network, config.copies)
    tests = list(_tests(images, angles, turned=is_turned(name)))
    total = len(tests) + config.layers
    for done, (test, degrees, make) in enumerate(tests, start=1):
        start = time.perf_counter()
        error = error_percent(asked, make(), images.labels)
        seconds = round(time.perf_counter() - start, 3)
        record.add(**columns, test=test, degrees=degrees, test_error_percent=error, seconds=seconds)
        progress("evaluate", done, total)
    if config.layers:
        few = images.take(min(config.layer_images, len(images)))
        record.extra["equivariance"] = layers_record(network, few.floats(torch.float64))
        progress("evaluate", total, total)
    return record


def _record(
    checkpoint: Path, trained: TrainedNetwork, config: Evaluation, name: str, angles: Sequence[float]
) -> tuple[Record, dict[str, Any]]:
    """A record without rows, and the columns that all rows share."""
    record = Record(
        study="evaluation",
        command=command_of(f"orbitconv evaluate {checkpoint}", config, "evaluation"),
        config={**settings_of(config), "angles": list(angles), "data": name},
    )
    facts = network_facts(trained.network, trained.config.network.basis)
    return record, {**facts, "seed": trained.config.seed, "train": trained.config.data, "data": name}


def _evaluate_pictures(
    checkpoint: Path, trained: TrainedNetwork, config: Evaluation, name: str, progress: ProgressCallback
) -> Record:
    """The rows for pictures of one's own: as they are, and at each angle."""
    if config.copies > 1:
        raise ValueError("evaluate takes turned copies for data sets by name only; use predict --turns on pictures.")
    if name == trained.config.data:
        asked, folder = trained.config, checkpoint if checkpoint.is_dir() else checkpoint.parent
    else:
        asked, folder = replace(trained.config, data=name), None
    data = pictures_for(trained, asked, folder, config.test_images, progress)
    angles = (0, 45, 90) if config.angles is None else config.angles
    layers = config.layer_images if config.layers else 0
    found = evaluate_prepared(
        trained, data, angles=angles, layers=layers, device=config.device, progress=progress
    )  # fmt: skip
    made, columns = _record(checkpoint, trained, config, name, angles)
    made.add(**columns, test="upright", degrees=None, test_error_percent=found["error_percent"], seconds=0.0)
    if angles:
        made.add(
            **columns, test="rotated", degrees=None, test_error_percent=found["error_random"], seconds=0.0,
            changed_percent=found["changed_random"],
        )  # fmt: skip
    for degrees in angles:
        name = f"{degrees:g}"
        made.add(
            **columns, test="angle", degrees=degrees, test_error_percent=found["error_at"][name], seconds=0.0,
            changed_percent=found["changed_at"][name],
        )  # fmt: skip
    if "equivariance" in found:
        made.extra["equivariance"] = found["equivariance"]
    found = without_nan(found)
    made.extra["figures"] = {
        key: value for key, value in found.items() if isinstance(value, int | float | dict) and key not in _IN_ROWS
    }
    made.extra["classes"] = {
        key: dict(zip(trained.classes, value, strict=True))
        for key, value in found.items() if isinstance(value, list)
    }  # fmt: skip
    return made


def _angles(config: Evaluation, name: str) -> tuple[float, ...]:
    """The angles by which the images of a data set are turned."""
    if not is_turned(name):
        return tuple(range(0, 360, 15)) if config.angles is None else config.angles
    if config.angles:
        raise ValueError(
            f"evaluate expects no --angles for a data set that is turned already: one more turn would blur its images "
            f"twice; got {name}. Leave them out, or name one that is upright with --data, such as mnist."
        )
    return ()


def _tests(
    images: ImageSet, angles: tuple[float, ...], *, turned: bool
) -> Iterator[tuple[str, float | None, Callable[[], Pixels]]]:
    """Name, angle and images of every test."""
    if turned:
        yield "rotated", None, lambda: images.images
        return
    yield "upright", None, lambda: images.images
    yield "rotated", None, lambda: rotated(images, TEST_SEED).images
    for degrees in angles:
        yield "angle", degrees, lambda degrees=degrees: rotated(images, degrees=degrees).images


def _check_fit(trained: TrainedNetwork, images: ImageSet) -> None:
    """Check channels and classes of the images against those of the network."""
    if images.images.shape[1] != trained.in_channels:
        raise ValueError(
            f"The network takes images of {trained.in_channels} channels; those of {images.name} have "
            f"{images.images.shape[1]}. It was trained on {trained.config.data}."
        )
    if images.classes != trained.classes:
        raise ValueError(
            f"The network knows the classes {', '.join(trained.classes)}; those of {images.name} are "
            f"{', '.join(images.classes)}. It was trained on {trained.config.data}."
        )
