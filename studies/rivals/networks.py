"""The networks: on a group, plain, or with the structure of a group network and free filters."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Literal

from torch import nn

from orbitconv.models import Classifier, Layers, count_parameters, width_for
from orbitconv.models.width import distinct_widths, stage_widths
from orbitconv.nn import GroupPool
from studies.pictures.networks import HALVE_AFTER, PROFILE, stack


@dataclass(frozen=True)
class Shape:
    """What networks of one kind of pictures share: kernels, stages, pooling of the plane."""

    kernel_size: int
    profile: tuple[int, ...]
    halve_after: tuple[int, ...]
    plane: Literal["mean", "max"]


SHAPES = {
    "digits": Shape(5, (1, 1, 2, 2, 2), (0, 2), "max"),
    "pictures": Shape(3, PROFILE, HALVE_AFTER, "mean"),
}
"""Five 5x5 convolutions for digits, six 3x3 ones for pictures."""


def rival(
    shape: str, basis: str | None, width: float, copies: int = 1, *, in_channels: int = 1, num_classes: int = 10
) -> Classifier:
    """Convolutions with batch norm and ReLU, perhaps a maximum over 2x2 pixels before them, and a linear layer.

    A plain network with several `copies` has as many channels for each field, pooled by their maximum in the end: a
    group network of that order whose filters are not tied.
    """
    kind = SHAPES[shape]
    layers = Layers("rival", basis, kind.kernel_size)
    fields = [copies * stage for stage in stage_widths(kind.profile, width)]
    convolutions = stack(layers, in_channels, fields, kind.halve_after)
    pool, classify = layers.head(fields[-1] // copies, num_classes, "max")
    if copies > 1:
        pool = nn.Sequential(nn.Unflatten(1, (fields[-1] // copies, copies)), GroupPool("max"))
    return Classifier(nn.Sequential(*convolutions), pool, classify, width=width, plane=kind.plane)


def width_within(
    name: str, make: Callable[[float], nn.Module], budget: int, tolerance: float, shape: str, widest: int,
    count: Callable[[nn.Module], int] = count_parameters, what: str = "parameters",
) -> float:  # fmt: skip
    """The width nearest to a budget; refused if outside the tolerance."""
    width = width_for(make, budget, count, distinct_widths(SHAPES[shape].profile, widest))
    found = count(make(width))
    if abs(found - budget) > tolerance * budget:
        raise ValueError(
            f"study rivals expects networks within {tolerance:.0%} of the same size, and no width brings {name} that "
            f"near to {budget:,} {what}: the nearest has {found:,}. Raise --plain-width or --tolerance, or leave the "
            "network out."
        )
    return width


def maker(shape: str, basis: str | None, in_channels: int, num_classes: int) -> Callable[[float], nn.Module]:
    """A network as a function of its width."""
    return partial(rival, shape, basis, in_channels=in_channels, num_classes=num_classes)
