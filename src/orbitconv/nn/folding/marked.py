"""Folding that remembers which plain convolutions were group convolutions, and on which basis."""

import copy
from collections.abc import Callable, Mapping
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, fx, nn

from orbitconv.bases import FixedBasis
from orbitconv.nn.flat import FlatLayer
from orbitconv.nn.folding.fold import fold_with
from orbitconv.nn.folding.known_values import Example
from orbitconv.nn.folding.rules import FunctionRule, Rule
from orbitconv.nn.group_conv import GroupConv2d
from orbitconv.nn.products.dense import expand_group
from orbitconv.nn.products.turning import turning_of

_EXACT = 1e-6
"""Largest relative difference of filters from what their coefficients give."""


def fold_marked(
    network: nn.Module,
    rules: Mapping[type[nn.Module], Rule],
    functions: Mapping[Callable[..., Any], FunctionRule | None],
    example: Example | None = None,
) -> tuple[fx.GraphModule, dict[str, FixedBasis]]:
    """`fold_with`, and the basis of each `nn.Conv2d` that was a `GroupConv2d` which leaves its product open."""
    bases: dict[str, FixedBasis] = {}

    def mark(layer: Any, plain: nn.Module) -> nn.Module:
        if isinstance(layer, GroupConv2d) and isinstance(layer.basis, FixedBasis) and layer.fourier == "auto":
            convolution: Any = next(m for m in plain.modules() if isinstance(m, nn.Conv2d))
            convolution.basis_name = str(len(bases))
            bases[convolution.basis_name] = copy.deepcopy(layer.basis)
        return plain

    marking = {
        GroupConv2d: lambda layer: mark(layer, rules[GroupConv2d](layer)),
        FlatLayer: lambda layer: mark(layer.layer, rules[FlatLayer](layer)),
    }
    folded = fold_with(network, {**rules, **marking}, functions, example)
    found = {}
    for name, module in folded.named_modules():
        basis = bases.get(module.__dict__.pop("basis_name", ""))
        if basis is not None:
            found[name] = basis
    return folded, found


@torch.no_grad()
def coefficients_of(weight: Float[Tensor, "og ih ky kx"], basis: FixedBasis) -> Float[Tensor, "o i m d"] | None:
    """The coefficients in float64 that filters, scaled by batch norm, are made of.

    None if the basis does not give them.
    """
    order, atoms = basis.group.order, basis(torch.float64)
    first = weight.double().unflatten(0, (-1, order)).unflatten(2, (-1, order))[:, 0]  # o i h ky kx
    solution = torch.linalg.lstsq(atoms[0].flatten(1).T, first.flatten(3).flatten(0, 2).T).solution
    coefficients = solution.T.reshape(*first.shape[:3], -1)
    error = expand_group(coefficients, atoms, turning_of(basis.group)) - weight
    return coefficients if error.norm() <= _EXACT * weight.double().norm() else None
