"""Where a network loses equivariance, and why: as a table."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from orbitconv._support.checks import check_network
from orbitconv._support.precision import without_autocast
from orbitconv.groups import Group, exact_elements, parse_group
from orbitconv.metrics.diagnosis.arguments import images_in, turned, with_images
from orbitconv.metrics.diagnosis.causes import cause_of
from orbitconv.metrics.diagnosis.fields import Field, possible_fields
from orbitconv.metrics.diagnosis.following import BranchError, Follower, Step, relative_error
from orbitconv.metrics.outputs import Selector, disc, select
from orbitconv.nn.folding.known_values import Example, as_arguments

_TOLERANCES = {torch.float64: 1e-10, torch.float32: 1e-4}


@dataclass(frozen=True)
class CheckedLayer:
    """One operation of a network.

    Args:
        path: Name of the layer; for a function, of the module whose forward calls it.
        type: Type of the layer, or name of the function.
        output: How its output turns.
        errors: Its own relative error for each of `elements` of the report, its input being turned exactly.
        cause: Why it does not turn with its input; empty where it does.
    """

    path: str
    type: str
    output: str
    errors: tuple[float, ...]
    cause: str = ""


@dataclass(frozen=True)
class EquivarianceReport:
    """What turns with the image in a network, where that is lost, and why; prints as a table.

    Args:
        group: Name of the group.
        elements: Elements that map the pixel grid to itself and generate all that do: what layers were tested with.
        layers: Every layer, and every function that loses the turn, in the order of execution.
        outputs: How each output of the network turns, by its place: "" where the output is one tensor.
        errors: For each output one relative error for each element of the group, of the network as it is.
        degrees: Angle of each element, in degrees.
        exact: Elements that map the pixel grid to itself.
        tolerance: Largest relative error of what counts as exact.
        notes: What else there is to say.
    """

    group: str
    elements: tuple[int, ...]
    layers: tuple[CheckedLayer, ...]
    outputs: dict[str, str]
    errors: dict[str, tuple[float, ...]]
    degrees: tuple[float, ...]
    exact: tuple[int, ...]
    tolerance: float
    notes: tuple[str, ...] = field(default=())

    @property
    def losses(self) -> tuple[CheckedLayer, ...]:
        """The operations that do not turn with their input."""
        return tuple(layer for layer in self.layers if layer.cause)

    @property
    def error(self) -> float:
        """Largest relative error of an output at an element that maps the grid to itself."""
        return max((errors[g] for errors in self.errors.values() for g in self.exact), default=0.0)

    @property
    def is_exact(self) -> bool:
        """Whether every output turns with the image, wherever the grid allows."""
        return self.error <= self.tolerance

    def __str__(self) -> str:
        """A line for each layer with its own error, the causes below, then the network at every angle."""
        rows = [("layer", "type", "output", "own error", "")]
        for layer in self.layers:
            mark = "<- lost here" if layer.cause else ""
            rows.append((layer.path or "(network)", layer.type, layer.output, f"{max(layer.errors):.2g}", mark))
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = ["  ".join(f"{c:<{w}}" for c, w in zip(row, widths, strict=True)).rstrip() for row in rows]
        lines += [f"{layer.path or 'the network'} ({layer.type}): {layer.cause}." for layer in self.losses]
        for place, errors in self.errors.items():
            others = [e for g, e in enumerate(errors) if g not in self.exact]
            between = f", {max(others):.2g} between" if others else ""
            exact = max((errors[g] for g in self.exact), default=0.0)
            lines.append(f"output{place} ({self.outputs[place]}): error {exact:.2g} where the grid allows{between}.")
        return "\n".join([*lines, *self.notes])


@torch.no_grad()
@without_autocast
def check(
    model: nn.Module,
    images: Example,
    group: Group | str,
    *,
    tolerance: float | None = None,
    output: Selector | None = None,
) -> EquivarianceReport:
    """Find what turns with the image in a network, where that is lost, and why.

    Every layer, and every function that forwards call between layers, runs on images and on turned ones. Its output is
    compared with the turned output, read in every way its shape allows: as planes, channels last, tokens, attention
    between places, with a group axis, channels and group in one axis (c g), or as features that do not turn. Where
    nothing fits, the turn is lost there; the network then goes on with the turned output, so that a loss hides no
    later one and each layer answers for itself.

    Layers are tested with the turns and mirrors of the group that map the pixel grid to itself; the network as a whole
    with all elements.

    Args:
        model: Any network of images; it is put in eval mode for the measurement and back.
        images: What it is called with: a batch of images (batch, channels, height, width), a tuple of positional
            arguments or a dict of keyword arguments, on the device of the network. Every floating-point tensor of rank
            4 is a batch of images and is turned; other arguments stay as they are. Two images of the usual size are
            enough. White noise tests most.
        group: The group to test, or its name ("c4"), which must be the network's own where it has a group axis.
        tolerance: Largest relative error of what counts as exact; by default 1e-10 in float64, 1e-4 in float32, 0.03 in
            16 bits.
        output: Which tensor of the network's output to compare where it is more than one: a name, an index or a
            function; by default all of them.

    Returns:
        The table.

    Raises:
        ValueError: If there are no images, they have different heights or widths, no element but the identity maps
            their grid to itself, or the network's layers are on another group.
        TypeError: If the model is no module, the images are no tensor and no arguments that hold one, or the output
            holds no tensor of floating-point numbers.

    Example:
        >>> import torch, orbitconv
        >>> network = torch.nn.Sequential(orbitconv.LiftingConv2d(1, 2, "exact-c4-k3", stride=2), orbitconv.GroupPool())
        >>> report = orbitconv.check(network, torch.randn(2, 1, 8, 8), orbitconv.Cyclic(4))
        >>> print(report.losses[0].cause)
        stride 2 with kernel 3 and padding 0 leaves 1 of 8 pixels over at one side; 9 pixels would fit
    """
    group = parse_group(group) if isinstance(group, str) else group
    check_network("check", model)
    _check_group(model, group)
    first = _check_images(images)
    height, width = first.shape[-2:]
    exact = exact_elements(group, height, width)
    elements = _generators(group, exact)
    if not elements:
        raise ValueError(
            f"check has nothing to test: no element of {group} but the identity maps a {height}x{width} grid to "
            "itself. Take square images, and a group with turns by 90 or 180 degrees."
        )
    tolerance = _TOLERANCES.get(first.dtype, 0.03) if tolerance is None else tolerance
    modes = {module: module.training for module in model.modules()}
    model.eval()
    try:
        follower = Follower(model, group, tolerance, square=height == width)
        before = {
            place: tensor.detach().clone()
            for place, tensor in select(follower.run(with_images(images, Tensor.clone), None), output, "check").items()
            if tensor.is_floating_point()
        }
        if not before:
            raise TypeError("check expects a network whose output holds a tensor of floating-point numbers, got none.")
        layers: list[CheckedLayer] = []
        known: dict[str, list[Field]] = {}
        notes: list[str] = []
        try:
            for g in elements:
                after = select(follower.run(turned(images, group, g), g), output, "check")
                for place in before:
                    state = follower.state_of(after[place])
                    known[place] = state.fields if state is not None else []
                    follower.blame(after[place])
            layers = [row for step in follower.steps if (row := _row(step, follower, elements)) is not None]
        except BranchError:
            layers, known = [], {}
            notes.append("The network calls other operations for turned images, so that layers cannot be compared.")
        errors, fields = _network_errors(model, images, group, before, known, exact, output)
    finally:
        for module, mode in modes.items():
            module.training = mode
    return EquivarianceReport(
        group.name,
        elements,
        tuple(layers),
        {place: one.name(before[place].ndim) for place, one in fields.items()},
        errors,
        tuple(float(angle) * 180 / math.pi for angle in group.angles),
        exact,
        tolerance,
        tuple(notes),
    )


def _check_group(model: nn.Module, group: Group) -> None:
    """Refuse another group than that of the layers, or its mirrors beside it: their features turn in another way."""
    own = {one.name: one for module in model.modules() if isinstance(one := getattr(module, "group", None), Group)}
    known = [one for one in own.values() if one.num_rotations == group.num_rotations and one.order <= group.order]
    if own and not known:
        names = " and ".join(sorted(own))
        raise ValueError(
            f"check expects the group of the network's layers, {names}, got {group}. Check it with that: layers are "
            "then tested with its turns and mirrors that map the pixel grid to itself, and the network with all."
        )


def _check_images(images: Any) -> Tensor:
    """Refuse arguments without images, or with images of different sizes; returns the first batch."""
    if not isinstance(images, Tensor | Mapping | tuple):
        raise TypeError(
            "check expects a tensor of images (batch, channels, height, width), or a tuple or dict of arguments, got "
            f"{type(images).__name__}."
        )
    found = images_in(images)
    if isinstance(images, Tensor) and (not found or not images.numel() or images.is_meta):
        raise ValueError(
            f"check expects at least one image with values, as (batch, channels, height, width), got shape "
            f"{tuple(images.shape)} of {images.dtype} on {images.device}."
        )
    if not found or not all(one.numel() and not one.is_meta for one in found):
        raise ValueError(
            "check expects arguments with at least one floating-point tensor (batch, channels, height, width) that "
            "holds values: the images, which are turned."
        )
    sides = sorted({tuple(one.shape[-2:]) for one in found})
    if len(sides) > 1:
        raise ValueError(
            f"check expects images of one size, which turn together, got {' and '.join(f'{h}x{w}' for h, w in sides)}."
        )
    return found[0]


def _generators(group: Group, exact: Sequence[int]) -> tuple[int, ...]:
    """The smallest exact turn, and one exact mirror."""
    turns = sorted((g for g in exact if g and not group.mirrors[g]), key=lambda g: group.angles[g])
    mirrors = [g for g in exact if group.mirrors[g]]
    return (*turns[:1], *mirrors[:1])


def _row(step: Step, follower: Follower, elements: Sequence[int]) -> CheckedLayer | None:
    """A layer, or a function that loses the turn, as a line."""
    lost = [g for g in elements if step.errors.get(g, 0.0) > follower.tolerance]
    if not step.is_layer and not lost:
        return None
    cause = cause_of(step, follower, lost[0]) if lost else ""
    ways = step.fields[0] if step.fields else []
    name = ways[0].name(step.outputs[0].ndim) if ways and not step.is_open else "rearranged"
    return CheckedLayer(step.path, step.name, name, tuple(step.errors.get(g, 0.0) for g in elements), cause)


def _network_errors(
    model: nn.Module,
    images: Example,
    group: Group,
    before: dict[str, Tensor],
    known: dict[str, list[Field]],
    exact: Sequence[int],
    output: Selector | None,
) -> tuple[dict[str, tuple[float, ...]], dict[str, Field]]:
    """Errors of the network as it is at every element, each output read as was found, else in the best way."""
    height, width = images_in(images)[0].shape[-2:]
    ways = {
        place: known.get(place) or list(possible_fields(tuple(one.shape), group, square=height == width)) or [Field()]
        for place, one in before.items()
    }
    found: dict[str, dict[Field, list[float]]] = {place: {way: [] for way in ways[place]} for place in before}
    for g in range(group.order):
        positional, named = as_arguments(turned(images, group, g))
        after = select(model(*positional, **named), output, "check")
        for place, one in before.items():
            for way, errors in found[place].items():
                mask = 1.0 if g in exact else _mask(one, way)
                errors.append(relative_error(after[place], way.turn(one, group, g), mask))
    fields = {
        place: min(by_way, key=lambda way, by_way=by_way: max(by_way[way][g] for g in exact))
        for place, by_way in found.items()
    }
    return {place: tuple(found[place][way]) for place, way in fields.items()}, fields


def _mask(x: Tensor, way: Field) -> Tensor | float:
    """The disc that every rotation keeps in view, where the last or the middle axes are a plane."""
    if way.planes is None or way.planes not in {x.ndim - 2, x.ndim - 3}:
        return 1.0
    return disc(x, "planes") if way.planes == x.ndim - 2 else disc(x, "channels last") if x.ndim == 4 else 1.0
