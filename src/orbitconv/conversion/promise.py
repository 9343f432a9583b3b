"""Whether a converted network keeps what its report promises: measured on noise of the size of the example.

What a report promises is read off single layers and operations. A forward that builds coordinates, or takes channels by
number, shows in none of them; the output shows it.
"""

import copy
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from orbitconv.conversion.converted import Converted
from orbitconv.conversion.observation import Example, as_arguments, tensors_in
from orbitconv.conversion.report import LostTurn
from orbitconv.groups import Group, act_image, exact_elements
from orbitconv.metrics import check
from orbitconv.metrics.diagnosis.arguments import images_in, turned, with_images
from orbitconv.metrics.diagnosis.fields import possible_fields
from orbitconv.metrics.diagnosis.following import relative_error
from orbitconv.metrics.outputs import select
from orbitconv.nn import BasisConv2d

_TOLERANCES = {torch.float64: 1e-6, torch.float32: 1e-2}


def broken_promise(network: Converted, example: Example, side: int | None = None) -> LostTurn | None:
    """The first layer that loses a turn, or the network itself, where an output does not turn as the report says.

    None if the promise is kept, nothing exact is promised, or the network does not run on noise. `side` is that of
    square images to measure with, instead of one that the report names.
    """
    sides = network.report.size if network.report.is_exact else network.report.exact_sizes[:1] * 2
    sides = sides if side is None else (side, side)
    if not sides:
        return None
    for dtype, tolerance in _TOLERANCES.items():
        trial, call = _awake(copy.deepcopy(network).to(dtype).eval()), _noise(example, sides, dtype)
        try:
            error = _error(trial, call, network.group)
        except Exception:  # forwards of others that fix the dtype or look at numbers
            continue
        if error <= tolerance:
            return None
        loss = _first_loss(trial, call)
        if loss is not None or dtype == torch.float64:
            return loss or LostTurn(
                "", f"the output changes by {error:.2g} of its norm, though every layer keeps the turn"
            )
        return None  # in float32 the output of a deep network of fresh filters may be rounding alone
    return None


def inexact_basis(network: Converted) -> LostTurn | None:
    """The first layer whose basis does not turn as the pixel grid does, as the bases of users need not; or None."""
    for path, layer in network.network.named_modules():
        if isinstance(layer, BasisConv2d):
            atoms = layer.basis(torch.float64).detach()
            for g in exact_elements(layer.group, *atoms.shape[-2:]):
                moved = act_image(atoms[:1], layer.group, g)[0]
                if relative_error(atoms[g], moved) > _TOLERANCES[torch.float64]:
                    return LostTurn(path.removesuffix(".layer"), "its basis does not turn exactly")
    return None


@torch.no_grad()
def _awake(network: Converted) -> Converted:
    """The network with other numbers in parameters that hold one number all over, as scales of branches do at first.

    A branch that is multiplied with zero keeps the turn until it is trained.
    """
    draw = torch.Generator().manual_seed(0)
    for values in network.parameters():
        if values.numel() and bool((values == values.flatten()[0]).all()):
            away = torch.rand(values.shape, generator=draw, dtype=torch.float64) / 2 + 0.1
            values.add_(away.to(values) * (1 - 2 * (values < 0)))
    return network


def _noise(example: Example, sides: tuple[int, ...], dtype: torch.dtype) -> Any:
    """An example of white noise, its images of other sides."""
    draw = torch.Generator().manual_seed(0)

    def noise(images: Tensor) -> Tensor:
        return torch.randn(*images.shape[:2], *sides, generator=draw, dtype=dtype).to(images.device)

    return with_images(example, noise)


@torch.no_grad()
def _error(network: Converted, example: Example, group: Group) -> float:
    """Largest relative error of an output, at the elements that map the grid to itself."""
    height, width = images_in(example)[0].shape[-2:]
    before, largest = _outputs(network, example), 0.0
    for g in exact_elements(group, height, width):
        after = _outputs(network, turned(example, group, g))
        for place, one in before.items():
            ways = [w for w in possible_fields(tuple(one.shape), group, square=height == width) if w.kind == "none"]
            moved = network.outputs.act(place, one, group, g)
            errors = [relative_error(after[place], way.turn(moved, group, g)) for way in ways]
            largest = max(largest, min(errors, default=0.0))
    return largest


def _outputs(network: Converted, example: Example) -> dict[str, Tensor]:
    """The outputs, labels and masks as numbers."""
    positional, named = as_arguments(example)
    found = select(network(*positional, **named), None, "convert")
    return {place: one if one.is_floating_point() else one.double() for place, one in found.items()}


def _first_loss(network: Converted, example: Example) -> LostTurn | None:
    """The first layer that loses the turn, as `check` finds it."""
    if not any(
        y.is_floating_point() for y in tensors_in(network(*as_arguments(example)[0], **as_arguments(example)[1]))
    ):
        return LostTurn("", "labels change with the turn. Return scores, and take labels of what the network returns")
    for loss in check(network, example, network.group).losses[:1]:
        path = loss.path.removeprefix("network").removeprefix(".").removesuffix(".layer")
        # all bases turn exactly
        reason = "it reads planes on the group as planar ones" if "basis" in loss.cause else loss.cause
        return LostTurn(path, reason)
    return None


def with_loss(network: Converted, loss: LostTurn) -> Converted:
    """The network, with a report that promises nothing exact; the report is changed in place."""
    network.report = replace(network.report, lost=(*network.report.lost, loss), exact_sizes=())
    return network
