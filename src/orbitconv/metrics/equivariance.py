"""Is this network still equivariant? Measured layer by layer, for any network."""

from collections.abc import Iterator, Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from orbitconv.bases import FilterBasis
from orbitconv.groups import Group, act_features, act_image
from orbitconv.groups.spline import PaddingMode


def transform_output(output: Tensor, group: Group, g: int, *, order: int = 3) -> Tensor:
    """Transform what a layer gives, by its shape.

    Args:
        output: Feature maps on the group (rank 5), planar ones (rank 4), or features without a plane (rank 2).
        group: The group.
        g: Group element.
        order: Order of the spline where one is needed.

    Returns:
        The planes turned and the group axis permuted; the planes turned; or the features as they are.

    Raises:
        ValueError: If the rank is none of these.
    """
    if output.ndim == 5:
        return act_features(output, group, g, order=order, padding_mode="reflect")
    if output.ndim == 4:
        return act_image(output, group, g, order=order, padding_mode="reflect")
    if output.ndim == 2:
        return output
    raise ValueError(
        "equivariance is defined for outputs of shape (batch, channels, group, height, width), (batch, channels, "
        f"height, width) or (batch, features), got {tuple(output.shape)}."
    )


@torch.no_grad()
def equivariance_error(
    module: nn.Module,
    images: Float[Tensor, "b c h w"],
    group: Group,
    *,
    elements: Sequence[int] | None = None,
    layers: Sequence[str] | None = None,
    padding_mode: PaddingMode = "zeros",
) -> dict[str, Float[Tensor, " g"]]:
    """Equivariance error of every layer: ||f(T x) - T' f(x)|| / ||T' f(x)||, over the whole batch.

    T turns the input (exactly where the grid allows, by a cubic spline elsewhere), T' turns the planes of the
    layer's output and permutes its group axis. Planes are compared inside the disc that every rotation keeps in view. A
    layer whose planes have been pooled away is compared as it is: its error is that of invariance.

    Args:
        module: Any network; it is put in eval mode for the measurement and back.
        images: Batch of images, on the device of the network.
        group: The group to test, which must be the network's own where it has a group axis.
        elements: Group elements to test; all by default.
        layers: Names of the submodules to report, as in `named_modules`; by default all without children (but a filter
            basis) that put out one tensor of rank 2, 4 or 5, and the network itself under the name "".
        padding_mode: What lies outside the images as they turn.

    Returns:
        For each layer, in the order of execution, one error for each element tested, no unit.

    Raises:
        ValueError: If a named layer does not exist, or no layer gives a tensor that can be compared.
    """
    chosen = list(range(group.order)) if elements is None else list(elements)
    named = dict(module.named_modules())
    unknown = [name for name in layers or () if name not in named]
    if unknown:
        raise ValueError(f"equivariance_error knows no layer {unknown[0]!r}; named_modules lists {list(named)}.")
    watched = list(layers) if layers is not None else [n for n in dict.fromkeys(["", *_layers(module)]) if n in named]
    was_training = {name: m.training for name, m in named.items()}
    module.eval()
    try:
        reference = _outputs(module, watched, images)
        errors: dict[str, list[Tensor]] = {name: [] for name in reference}
        for g in chosen:
            turned = _outputs(module, watched, act_image(images, group, g, padding_mode=padding_mode))
            for name, before in reference.items():
                expected = transform_output(before, group, g)
                mask = _disc(expected) if expected.ndim > 2 else torch.ones((), device=expected.device)
                difference = torch.linalg.vector_norm((turned[name] - expected) * mask)
                errors[name].append(difference / torch.linalg.vector_norm(expected * mask))
    finally:
        for name, m in named.items():
            m.training = was_training[name]
    if not errors:
        raise ValueError("equivariance_error found no layer whose output is a tensor of rank 2, 4 or 5.")
    return {name: torch.stack(values) for name, values in errors.items()}


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


def _outputs(module: nn.Module, watched: list[str], images: Tensor) -> dict[str, Tensor]:
    """Run a network and keep what the watched layers put out, in the order of execution."""
    kept: dict[str, Tensor] = {}
    named = dict(module.named_modules())

    def keep(name: str):
        def hook(_module: nn.Module, _inputs: object, output: object) -> None:
            if isinstance(output, Tensor) and output.ndim in {2, 4, 5}:
                kept.setdefault(name, output.clone())

        return hook

    handles = [named[name].register_forward_hook(keep(name)) for name in watched]
    try:
        module(images)
    finally:
        for handle in handles:
            handle.remove()
    return kept


def _disc(planes: Tensor) -> Float[Tensor, "h w"]:
    """One inside the largest disc of a plane, zero outside; small planes keep at least their middle."""
    height, width = planes.shape[-2:]
    rows = torch.arange(height, device=planes.device) - (height - 1) / 2
    cols = torch.arange(width, device=planes.device) - (width - 1) / 2
    return (torch.hypot(rows[:, None], cols) <= (min(height, width) - 1) / 2 + 0.5).to(planes.dtype)
