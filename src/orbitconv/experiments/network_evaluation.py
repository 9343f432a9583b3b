"""A trained network on a data set: its error upright and at every angle, and how equivariant each layer is."""

import copy
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from torch import nn

from orbitconv.checks import check_positive
from orbitconv.data import ImageSet, rotated
from orbitconv.experiments.commands import command_of, settings_of
from orbitconv.experiments.devices import find_device
from orbitconv.experiments.network_facts import errors_of_layers, group_of, measured_group, network_facts, turned_copies
from orbitconv.experiments.record import Record
from orbitconv.experiments.training import TrainedNetwork, error_percent, read_trained
from orbitconv.experiments.training.datasets import is_turned, load_split
from orbitconv.experiments.training.examples import Pixels
from orbitconv.experiments.training.settings import Device
from orbitconv.experiments.upright import TEST_SEED
from orbitconv.files import check_writable
from orbitconv.progress import ProgressCallback, silent


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """What is measured on a trained network."""

    data: str | None = None
    """Name of the data set; by default the one it was trained on."""
    data_dir: Path | None = None
    """Folder with the data sets; by default ORBITCONV_DATA, then the user's cache, then a download."""
    test_images: int | None = None
    """Test on so many images, the first; all by default."""
    angles: tuple[float, ...] = tuple(range(0, 360, 15))
    """Angles in degrees, counter-clockwise, by which all images are turned; those of a turned data set are not."""
    copies: int = 1
    """Ask about so many copies of each image, turned within one step of the network's group, and take the mean."""
    layers: bool = False
    """Measure the equivariance error of every layer too."""
    layer_images: int = 50
    """Images for that, the first."""
    device: Device = "auto"
    """Where to compute; "auto" takes a GPU where there is one."""
    results: Path | None = None
    """Write the record to this JSON file."""

    def __post_init__(self) -> None:
        number = {} if self.test_images is None else {"test_images": self.test_images}
        check_positive("evaluate", copies=self.copies, layer_images=self.layer_images, **number)
        if not all(map(math.isfinite, self.angles)):
            raise ValueError(f"evaluate expects finite angles in degrees, got {self.angles}.")


def evaluate_network(checkpoint: Path, config: Evaluation, progress: ProgressCallback = silent) -> Record:
    """Measure a trained network on test images.

    Args:
        checkpoint: Folder of a training, or a file that it wrote.
        config: What to measure.
        progress: Called after every measurement.

    Returns:
        A row for each test: upright, at each angle, and each image at its own random angle. With `layers`, also
        `extra["equivariance"]`: the errors of each layer for every turn of the network's group, of C8 if it has none.

    Raises:
        ValueError: If the images are not such as the network was trained on.
    """
    config = Evaluation(**{one.name: getattr(config, one.name) for one in fields(Evaluation)})
    if config.results is not None:
        check_writable(config.results, "--results")
    trained = read_trained(checkpoint)
    name = config.data or trained.config.data
    images = load_split(name, "test", config.data_dir, progress)
    _check_fit(trained, images)
    images = images if config.test_images is None else images.take(config.test_images)
    record = Record(
        study="evaluation",
        command=command_of(f"evaluate {checkpoint}", config, "evaluation"),
        config={**settings_of(config), "angles": list(config.angles), "data": name},
    )
    device = find_device("orbitconv evaluate", config.device)
    network, images = trained.network.to(device), images.to(device)
    asked = turned_copies(network, config.copies)
    columns = {
        **network_facts(network, trained.config.network.basis),
        "seed": trained.config.seed,
        "train": trained.config.data,
        "data": name,
    }
    tests = list(_tests(images, () if is_turned(name) else config.angles, turn=not is_turned(name)))
    total = len(tests) + config.layers
    for done, (test, degrees, make) in enumerate(tests, start=1):
        start = time.perf_counter()
        error = error_percent(asked, make(), images.labels)
        seconds = round(time.perf_counter() - start, 3)
        record.add(**columns, test=test, degrees=degrees, test_error_percent=error, seconds=seconds)
        progress("evaluate", done, total)
    if config.layers:
        record.extra["equivariance"] = measure_layers(network, images.take(min(config.layer_images, len(images))))
        progress("evaluate", total, total)
    return record


def _tests(
    images: ImageSet, angles: tuple[float, ...], *, turn: bool
) -> Iterator[tuple[str, float | None, Callable[[], Pixels]]]:
    """Name, angle and images of every test; images that are at any angle already would be blurred by one more turn."""
    yield "upright", None, lambda: images.images
    if not turn:
        return
    yield "rotated", None, lambda: rotated(images, TEST_SEED).images
    for degrees in angles:
        yield "angle", degrees, lambda degrees=degrees: rotated(images, degrees=degrees).images


def measure_layers(network: nn.Module, images: ImageSet) -> dict[str, Any]:
    """Equivariance error of every layer, in float64.

    Args:
        network: The network; it is left as it is.
        images: Images to turn.

    Returns:
        The group, how many images, and for each layer its mean and worst error over the turns but the identity, and the
        errors at every element.
    """
    exact = copy.deepcopy(network).double()
    errors = errors_of_layers(exact, images.floats(next(exact.parameters()).dtype))
    rows = [
        {"layer": name or "whole network", "mean": float(e[1:].mean()), "worst": float(e.max()), "errors": e.tolist()}
        for name, e in errors.items()
    ]
    return {"group": measured_group(group_of(network)).name.lower(), "images": len(images), "layers": rows}


def _check_fit(trained: TrainedNetwork, images: ImageSet) -> None:
    """Refuse images that the network knows nothing about."""
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
