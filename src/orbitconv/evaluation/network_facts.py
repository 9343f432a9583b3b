"""Columns of a record about a network: family, group, kernel, size, and errors of its layers."""

import copy
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jaxtyping import Float
from torch import Tensor, nn

from orbitconv.bases import FilterBasis
from orbitconv.groups import Cyclic, Group
from orbitconv.metrics import equivariance_error
from orbitconv.models import TurnedCopies, count_parameters
from orbitconv.records.record import Row

# Networks without a group are measured at its turns.
_PLAIN_GROUP = Cyclic(8)


def network_facts(network: nn.Module, basis: str) -> Row:
    """Columns of a row of a record."""
    bases = [module for module in network.modules() if isinstance(module, FilterBasis)]
    if bases:
        largest = max(bases, key=lambda one: one.kernel_size)
        family = re.sub(r"-[cd]\d+(-.*)?$", "", Path(basis).stem.lower())
        if family == "none":  # the settings do not tell
            family = type(largest).__name__.removesuffix("Basis").lower()
        kernel, atoms, group = largest.kernel_size[0], largest.num_atoms, largest.group.name.lower()
    else:
        sides = [module.kernel_size[0] for module in network.modules() if isinstance(module, nn.Conv2d)]
        family, group, kernel = "plain", "c1", max(sides, default=1)
        atoms = kernel**2
    parameters = count_parameters(network)
    return {"family": family, "group": group, "kernel": kernel, "num_atoms": atoms, "parameters": parameters}


def group_of(network: nn.Module) -> Group | None:
    """The group of a network."""
    return next((module.group for module in network.modules() if isinstance(module, FilterBasis)), None)


def turned_copies(network: nn.Module, copies: int) -> nn.Module:
    """A classifier that averages over copies of each image, at equal parts of the step between turns of its group."""
    group = group_of(network)
    return network if copies == 1 else TurnedCopies(network, copies, order=1 if group is None else group.num_rotations)


def measured_group(group: Group | None) -> Group:
    """The group whose elements the layers of a network are measured at: its own, or C8 without turns."""
    return _PLAIN_GROUP if group is None or group.order == 1 else group


def errors_of_layers(
    network: nn.Module, images: Float[Tensor, "b c h w"], layers: Sequence[str] | None = None
) -> dict[str, Float[Tensor, " n"]]:
    """Normalised equivariance error of layers, by name, at every turn of the network's group.

    It is zero where nothing came out, as it should, and one where something came out that should not.
    """
    found = equivariance_error(network, images, measured_group(group_of(network)), layers=layers)
    return {name: error.nan_to_num(nan=0.0, posinf=1.0) for name, error in found.items()}


def layers_record(network: nn.Module, images: Float[Tensor, "b c h w"]) -> dict[str, Any]:
    """Equivariance error of every layer, in float64, as a record holds it.

    The group, the number of images, and for each layer its errors at every element, their maximum, and their mean
    without the identity; no unit.
    """
    exact = copy.deepcopy(network).double()
    errors = errors_of_layers(exact, images.to(next(exact.parameters()).dtype))
    rows = [
        {"layer": name or "whole network", "mean": float(e[1:].mean()), "worst": float(e.max()), "errors": e.tolist()}
        for name, e in errors.items()
    ]
    return {"group": measured_group(group_of(network)).name.lower(), "images": len(images), "layers": rows}
