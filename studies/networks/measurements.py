"""Measurements on a trained network of a study, as columns of rows of a record."""

from collections.abc import Callable, Sequence

from torch import nn

from orbitconv.data import ImageSet, rotated
from orbitconv.data.rotation import TEST_SEED
from orbitconv.evaluation.network_facts import errors_of_layers
from orbitconv.records.record import Row
from orbitconv.train import Trained, error_percent

Measurement = Callable[[nn.Module, Trained, ImageSet], list[Row]]
"""Takes the trained network, its training and the test images; returns columns, one row for each test."""


def own_error(test: str) -> Measurement:
    """Error on the test images, unchanged."""

    def measure(_network: nn.Module, trained: Trained, _images: ImageSet) -> list[Row]:
        return [{"test": test, "test_error_percent": float(trained.rows[-1]["test_error_percent"])}]

    return measure


def error_at_random_angles(network: nn.Module, _trained: Trained, images: ImageSet) -> list[Row]:
    """Error on the test images, each rotated by its own random angle."""
    turned = rotated(images, TEST_SEED)
    return [{"test": "rotated", "test_error_percent": error_percent(network, turned.images, turned.labels)}]


def errors_at_angles(count: int, degrees: Sequence[int]) -> Measurement:
    """Error on some test images, all rotated by the same angle, for several angles."""

    def measure(network: nn.Module, _trained: Trained, images: ImageSet) -> list[Row]:
        few = images.take(min(count, len(images)), TEST_SEED)
        rows: list[Row] = []
        for angle in degrees:
            error = error_percent(network, rotated(few, degrees=angle).images, few.labels)
            rows.append({"test": "angle", "degrees": angle, "test_error_percent": error})
        return rows

    return measure


def layer_rows(network: nn.Module, images: ImageSet, when: str) -> list[Row]:
    """Normalised equivariance error of every layer, a mean over the turns of the network's group."""
    layers = dict(network.named_modules())
    errors = errors_of_layers(network, images.floats())
    after = {name for name in errors if name == "" or isinstance(layers[name], nn.Linear | nn.Flatten)}
    maps = [(name, error) for name, error in errors.items() if name not in after]
    return [
        {
            "test": "layer", "when": when, "layer": place, "name": name, "kind": type(layers[name]).__name__,
            "equivariance_error": float(error[1:].mean()), "test_error_percent": None,
        }
        for place, (name, error) in enumerate(maps)
    ]  # fmt: skip
