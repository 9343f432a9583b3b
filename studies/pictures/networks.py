"""The classifier of satellite images; early pooling of the 64 pixels keeps training feasible on one core."""

from collections.abc import Collection, Sequence
from functools import partial

from torch import nn

from orbitconv.models import Classifier, Layers, count_parameters, width_for

PROFILE = (1, 1, 2, 2, 4, 4)
"""Fields of the six convolutions, in proportion."""
HALVE_AFTER = (0, 1, 2, 4)
"""Convolutions after which a 2x2 maximum halves the planes: 64, 32, 16, 8, 8, 4 pixels."""

# Widths are looked for in steps of a sixteenth, up to this many times the width of the plain twin.
_STEPS, _WIDEST = 16, 2


def satellite(basis: str | None, plain_width: int, *, in_channels: int = 3, num_classes: int = 10) -> Classifier:
    """Six 3x3 convolutions with batch norm and ReLU, a maximum over the group, a mean over the plane, a linear layer.

    A network with a basis gets the width that brings it nearest to the parameters of its plain twin.
    """
    make = partial(_satellite, in_channels=in_channels, num_classes=num_classes)
    if basis is None:
        return make(None, plain_width)
    budget = count_parameters(make(None, plain_width))
    widths = [step / _STEPS for step in range(_STEPS // 2, _WIDEST * _STEPS * plain_width)]
    return make(basis, width_for(partial(make, basis), budget, widths=widths))


def _satellite(basis: str | None, width: float, *, in_channels: int, num_classes: int) -> Classifier:
    """The network of a width; other stages are scaled in proportion and rounded."""
    layers = Layers("satellite", basis, 3)
    fields = [max(1, round(share * width)) for share in PROFILE]
    convolutions = stack(layers, in_channels, fields, HALVE_AFTER)
    return Classifier(nn.Sequential(*convolutions), *layers.head(fields[-1], num_classes, "max"), width=width)


def stack(layers: Layers, in_channels: int, fields: Sequence[int], halve_after: Collection[int]) -> list[nn.Module]:
    """Convolutions, each followed by a 2x2 maximum where planes are halved, by batch norm and by ReLU."""
    made: list[nn.Module] = []
    for index, (before, after) in enumerate(zip((in_channels, *fields), fields, strict=False)):
        made.append(layers.conv(before, after) if index else layers.lift(before, after))
        if index in halve_after:
            made.append(layers.max_pool(2))
        made += [layers.norm(after), nn.ReLU()]
    return made
