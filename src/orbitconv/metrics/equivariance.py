"""Is this network still equivariant? Measured layer by layer, for any network."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor, nn

from orbitconv._support.precision import at_least_float32, without_autocast
from orbitconv.bases import FilterBasis
from orbitconv.groups import Group, act_image, exact_elements
from orbitconv.groups.spline import PaddingMode
from orbitconv.hexagonal import HexagonalImage, act_hexagonal
from orbitconv.metrics.outputs import Reading, Selector, disc, readings, select, turn_output
from orbitconv.nn import ToHexagonal


class LayerErrors(dict[str, Tensor]):
    """Errors of layers by name, in the order of execution; prints as a table.

    Args:
        errors: For each layer, one error for each element.
        types: Type of each layer.
        readings: How the output of each layer turns.
        ambiguous: Layers whose reading neither their type, nor the data, nor a layer beside them tells; marked "?".
        degrees: Angle of each element.
    """

    def __init__(
        self,
        errors: dict[str, Tensor],
        types: dict[str, str],
        readings: dict[str, Reading],
        ambiguous: Collection[str],
        degrees: Sequence[float],
    ) -> None:
        super().__init__(errors)
        self.types, self.readings, self.ambiguous, self.degrees = types, readings, frozenset(ambiguous), tuple(degrees)

    def __str__(self) -> str:
        """One line a layer: name, type, how its output turns, largest error and its angle."""
        lines = [("layer", "type", "output", "largest error", "at")]
        for name, error in self.items():
            worst = int(error.argmax())
            at = f"{self.degrees[worst]:g}\N{DEGREE SIGN}"
            reading = self.readings[name] + ("?" if name in self.ambiguous else "")
            lines.append((name or "(network)", self.types[name], reading, f"{error[worst]:.3g}", at))
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        return "\n".join("  ".join(f"{c:<{w}}" for c, w in zip(line, widths, strict=True)).rstrip() for line in lines)


@torch.no_grad()
@without_autocast
def equivariance_error(
    module: nn.Module,
    images: Float[Tensor, "b c h w"] | HexagonalImage,
    group: Group,
    *,
    elements: Sequence[int] | None = None,
    layers: Sequence[str] | None = None,
    padding_mode: PaddingMode = "zeros",
    output: Selector | None = None,
) -> LayerErrors:
    """Equivariance error of every layer: ||f(T x) - T' f(x)|| / ||T' f(x)||, over the whole batch.

    T turns the input (exactly where the grid allows, by a cubic spline elsewhere), T' turns the planes of the
    layer's output and permutes its group axis. Planes are compared inside the disc that every rotation keeps in view. A
    layer whose planes have been pooled away is compared as it is: its error is that of invariance. An output that can
    be read in several ways (planes or channels last, a group axis or a depth, attention between places) is read as the
    type of the layer says, else as turns with the input at under a tenth of the error of every other way, else as the
    last layer of the same shape. `readings` of the result tells which; where nothing does, the usual reading is taken
    and the layer is `ambiguous`. Behind `ToHexagonal`, or for a `HexagonalImage`, planes turn on the hexagonal lattice.

    Args:
        module: Any network; it is put in eval mode for the measurement and back.
        images: Batch of images, on the device of the network.
        group: The group to test, which must be the network's own where it has a group axis.
        elements: Group elements to test; all by default.
        layers: Names of the submodules to report, as in `named_modules`; by default all without children (but a filter
            basis) that put out tensors of rank 2, 4 or 5, and the network itself under the name "".
        padding_mode: What lies outside the images as they turn.
        output: Which tensor of the network's output to compare where it is more than one: a name, an index or a
            function. By default all of them, under names such as "[0]" or "[logits]".

    Returns:
        For each layer, in the order of execution, one error for each element tested, no unit: 0 where nothing differs,
        also where the output is zero. Types of the layers are in `types`; `print` shows a table. Errors are float32 at
        least.

    Raises:
        ValueError: If there are no images, a named layer or output does not exist, or no layer gives a tensor that can
            be compared.
    """
    pixels = images.values if isinstance(images, HexagonalImage) else images
    if not pixels.numel() or pixels.is_meta:
        raise ValueError(
            f"equivariance_error expects at least one image with values, got shape {tuple(pixels.shape)} on "
            f"{pixels.device}."
        )
    chosen = list(range(group.order)) if elements is None else list(elements)
    named = dict(module.named_modules())
    unknown = [name for name in layers or () if name not in named]
    if unknown:
        raise ValueError(f"equivariance_error knows no layer {unknown[0]!r}; named_modules lists {list(named)}.")
    watched = list(layers) if layers is not None else [n for n in dict.fromkeys(["", *_layers(module)]) if n in named]
    was_training = {name: m.training for name, m in named.items()}
    module.eval()
    # Readings are told apart by an exact element; the identity tells none from another.
    exact = set(exact_elements(group, *pixels.shape[-2:]))
    order = sorted(range(len(chosen)), key=lambda slot: (chosen[slot] == 0, chosen[slot] not in exact))
    read: dict[str, Reading] = {}
    ambiguous: set[str] = set()
    try:
        reference, owners = _outputs(module, watched, images, output)
        possible: dict[str, list[Reading]] = {}
        hexagonal = isinstance(images, HexagonalImage)
        for name, before in reference.items():  # in the order of execution
            hexagonal |= isinstance(owners[name], ToHexagonal)
            possible[name] = readings(before, group, owners[name], hexagonal=hexagonal)
        errors: dict[str, list[Tensor]] = {name: [] for name, ways in possible.items() if ways}
        for g in (chosen[slot] for slot in order):
            turned, _ = _outputs(module, watched, _turned(images, group, g, padding_mode), output)
            found: dict[str, dict[Reading, Tensor]] = {
                name: {way: _distance(turned[name], reference[name], group, g, way) for way in possible[name]}
                for name in errors
            }
            if not read:
                shapes = {name: tuple(reference[name].shape) for name in errors}
                read, ambiguous = _told_apart(found, shapes)
                possible = {name: [way] for name, way in read.items()}
            for name, values in errors.items():
                values.append(found[name][read[name]])
    finally:
        for name, m in named.items():
            m.training = was_training[name]
    if not errors:
        raise ValueError("equivariance_error found no layer whose output is a tensor of rank 2, 4 or 5.")
    slots = torch.tensor([order.index(slot) for slot in range(len(chosen))], dtype=torch.long)
    return LayerErrors(
        {name: torch.stack(values)[slots.to(values[0].device)] for name, values in errors.items()},
        {name: type(owners[name]).__name__ for name in errors},
        read,
        ambiguous,
        [float(group.angles[g]) * 180 / torch.pi for g in chosen],
    )


def _turned(
    images: Tensor | HexagonalImage, group: Group, g: int, padding_mode: PaddingMode
) -> Tensor | HexagonalImage:
    """The input of the network, turned on its lattice."""
    if isinstance(images, HexagonalImage):
        return replace(images, values=act_hexagonal(images.planes(), group, g, shape=images.grid.shape))
    return act_image(images, group, g, padding_mode=padding_mode)


def _told_apart(
    found: dict[str, dict[Reading, Tensor]], shapes: dict[str, tuple[int, ...]]
) -> tuple[dict[str, Reading], set[str]]:
    """How each layer is read, from its errors under every reading, and which ones that leaves open."""
    read: dict[str, Reading] = {}
    ambiguous: set[str] = set()
    seen: dict[tuple[int, ...], Reading] = {}
    for name, by_way in found.items():
        errors: dict[Reading, float] = {way: float(error) for way, error in by_way.items()}
        best, *others = sorted(errors, key=lambda way: errors[way])
        usual = next(iter(errors))
        if not others or errors[best] < errors[others[0]] / 10:
            read[name] = best
            if len(set(shapes[name][1:])) > 1:  # a cube has one shape for all readings
                seen[shapes[name]] = best
        elif errors[usual] == 0 or shapes[name] in seen:
            read[name] = seen.get(shapes[name], usual)
        else:
            read[name] = usual
            ambiguous.add(name)
    return read, ambiguous


def _distance(after: Tensor, before: Tensor, group: Group, g: int, reading: Reading) -> Float[Tensor, ""]:
    """||after - T before|| / ||T before||; 0 where nothing differs. Norms of many values overflow 16 bits."""
    exact = at_least_float32(before.dtype)
    after, expected = after.to(exact), turn_output(before.to(exact), group, g, reading)
    if after.shape != expected.shape:
        return torch.full((), torch.inf, dtype=exact, device=expected.device)
    mask = disc(expected, reading)
    difference = torch.linalg.vector_norm((after - expected) * mask)
    return torch.where(difference == 0, 0, difference / torch.linalg.vector_norm(expected * mask))


def _layers(module: nn.Module, name: str = "") -> Iterator[str]:
    """Names of the modules that no other layer is inside of; bases and parametrizations make weights, not features."""
    inside = {
        child_name: child
        for child_name, child in module.named_children()
        if not isinstance(child, FilterBasis) and child_name != "parametrizations"
    }
    if not inside:
        yield name
    for child_name, child in inside.items():
        yield from _layers(child, f"{name}.{child_name}" if name else child_name)


def _outputs(
    module: nn.Module, watched: list[str], images: Tensor | HexagonalImage, selector: Selector | None
) -> tuple[dict[str, Tensor], dict[str, nn.Module]]:
    """What the watched layers put out, in the order of execution, and the layer of each."""
    kept: dict[str, Tensor] = {}
    owners: dict[str, nn.Module] = {}
    named = dict(module.named_modules())

    def keep(name: str):
        def hook(owner: nn.Module, _inputs: object, output: object) -> None:
            tensors = select(output, selector if name == "" else None, "equivariance_error")
            for place, tensor in tensors.items():
                if tensor.is_floating_point() and name + place not in kept:
                    kept[name + place] = tensor.clone()
                    owners[name + place] = owner

        return hook

    handles = [named[name].register_forward_hook(keep(name)) for name in watched]
    try:
        module(images)
    finally:
        for handle in handles:
            handle.remove()
    return kept, owners
