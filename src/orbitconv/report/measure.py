"""Tests of trained networks on one data set: errors at every angle, and the equivariance of every layer."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from jaxtyping import Float
from torch import Tensor, nn

from orbitconv.data import ImageSet, rotated
from orbitconv.data.rotation import TEST_SEED
from orbitconv.evaluation.network_facts import errors_of_layers, group_of
from orbitconv.figures.drawing import Look
from orbitconv.groups import Group
from orbitconv.models import count_multiply_adds, count_parameters
from orbitconv.nn import BasisConv2d
from orbitconv.train import error_percent

SCORES = "scores"
"""What the output of a network is called among its layers."""

LAYER_IMAGES = 32
"""Test images on which layers are measured."""


@dataclass(kw_only=True)
class Measured:
    """Test results of one network; errors are in percent.

    Layers, convolutions and scores by short names in the order of execution, have an equivariance error (no unit) at
    each group element. `random_error` is that on images each turned by its own angle, None if they are turned already;
    `by_angle` has errors on images all turned by one angle in degrees.
    """

    parameters: int
    multiply_adds: int
    group: Group | None
    layers: dict[str, list[float]]
    error: float = 0.0
    random_error: float | None = None
    by_angle: dict[int, float] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Tested:
    """Networks that differ in the seed only, as shown on a page: what was measured of each, and one of them.

    Errors, on test images as they are, are in percent; training times in seconds.
    """

    name: str
    look: Look
    measured: list[Measured] = field(default_factory=list)
    errors: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    network: nn.Module | None = None

    @property
    def random_errors(self) -> list[float]:
        """The error of each network on images that are each turned by their own angle, in percent."""
        return [one.random_error for one in self.measured if one.random_error is not None]

    @property
    def by_angle(self) -> dict[float, list[float]]:
        """For each angle in degrees, the errors of all networks, in percent."""
        angles = self.measured[0].by_angle if self.measured else {}
        return {float(degrees): [one.by_angle[degrees] for one in self.measured] for degrees in angles}


def measure_networks(
    networks: Sequence[nn.Module], images: ImageSet, degrees: Sequence[int], step: Callable[[], None]
) -> list[Measured]:
    """Measure networks, on the device of the images, on the same images and at turns of all of them in degrees.

    There are no turns if the images are turned already. `step` is called after each test, `steps` times.
    """
    few, results = images.take(min(LAYER_IMAGES, len(images))).floats(), []
    for network in networks:
        results.append(
            Measured(
                parameters=count_parameters(network),
                multiply_adds=count_multiply_adds(network, tuple(images.images.shape[1:])),
                group=group_of(network),
                layers=convolution_errors(network, few),
                error=error_percent(network, images.images, images.labels),
            )
        )
        step()
    turns: list[int | None] = [None, *degrees] if degrees else []
    for turn in turns:
        turned = rotated(images, TEST_SEED, degrees=turn)
        for network, measured in zip(networks, results, strict=True):
            error = error_percent(network, turned.images, turned.labels)
            if turn is None:
                measured.random_error = error
            else:
                measured.by_angle[turn] = error
            step()
    return results


def steps(networks: int, degrees: int) -> int:
    """How often `measure_networks` calls back."""
    return networks * (2 + degrees if degrees else 1)


def convolution_errors(network: nn.Module, images: Float[Tensor, "b c h w"]) -> dict[str, list[float]]:
    """Equivariance error (no unit) of every convolution and of the scores at each group element.

    Layers have short names and are in the order of execution.
    """
    convolutions = [name for name, m in network.named_modules() if isinstance(m, BasisConv2d | nn.Conv2d)]
    errors = errors_of_layers(network, images, [*convolutions, ""])
    scores = errors.pop("")
    named = {f"conv {place}": values for place, values in enumerate(errors.values(), start=1)}
    return {name: values.tolist() for name, values in (named | {SCORES: scores}).items()}
