"""Assertions about equivariance and unitarity, for the tests of this library and of your own layers."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from orbitconv._support.precision import without_autocast
from orbitconv.bases import FilterBasis
from orbitconv.groups import Group, act_features, act_image, exact_elements
from orbitconv.metrics.basis import unitarity_error
from orbitconv.metrics.equivariance import equivariance_error
from orbitconv.metrics.outputs import Reading, Selector, readings, select, turn_output


@without_autocast
def assert_equivariant(
    module: nn.Module,
    x: Tensor,
    group: Group,
    *,
    elements: Sequence[int] | None = None,
    rtol: float = 1e-12,
    atol: float = 0.0,
    output: Selector | None = None,
) -> None:
    """Assert that transforming the input transforms the output.

    Args:
        module: Layer or network, in the mode it shall be tested in.
        x: Input on the plane (rank 4) or on the group (rank 5); float64 for the default tolerance.
        group: The group.
        elements: Group elements to test; by default those that map the grid of `x` to itself, which leave nothing to
            interpolation.
        rtol: Largest difference allowed, relative to the largest value of the output.
        atol: Difference allowed beside it, in units of the output.
        output: Which tensor of the output to compare where it is more than one: a name, an index or a function; by
            default all of them.

    Raises:
        AssertionError: If an output differs by more than the tolerance; names the element, its angle, and the first
            layer that does not turn with the input.
        ValueError: If the input has another rank or no values, or there is no element to test but the identity.
        TypeError: If the output holds no tensor that can turn.
    """
    if x.ndim not in {4, 5}:
        raise ValueError(f"assert_equivariant expects input of rank 4 or 5, got shape {tuple(x.shape)}.")
    if not x.numel() or x.is_meta:
        raise ValueError(
            f"assert_equivariant expects input with values, got shape {tuple(x.shape)} on {x.device}: nothing would "
            "be tested."
        )
    chosen = exact_elements(group, *x.shape[-2:]) if elements is None else tuple(elements)
    if set(chosen) <= {0} and group.order > 1:
        raise ValueError(
            f"assert_equivariant has nothing to test: no element of {group} but the identity maps a "
            f"{x.shape[-2]}x{x.shape[-1]} grid to itself. Name the elements, with a tolerance that fits."
        )
    act = act_features if x.ndim == 5 else act_image
    with torch.no_grad():
        reference = select(module(x), output, "assert_equivariant")
        ways: dict[str, list[Reading]] = {place: readings(one, group, module) for place, one in reference.items()}
        if not any(ways.values()):
            raise TypeError(
                "assert_equivariant expects an output of rank 2, 4 or 5, or several in a tuple or dictionary, got "
                f"{ {place: tuple(one.shape) for place, one in reference.items()} or 'no tensor' }."
            )
        for g in chosen:
            turned = select(module(act(x, group, g)), output, "assert_equivariant")
            for place in (place for place in reference if ways[place]):
                differences: dict[Reading, tuple[float, float]] = {
                    way: _difference(turned[place], reference[place], group, g, way) for way in ways[place]
                }
                fits: list[Reading] = [w for w, (worst, scale) in differences.items() if worst <= atol + rtol * scale]
                if fits:
                    ways[place] = fits  # one way of reading must fit every element
                    continue
                worst, scale = min(differences.values())
                kind = "mirror, then " if group.mirrors[g] else ""
                raise AssertionError(
                    f"not equivariant to element {g} of {group} ({kind}{group.angles[g] * 180 / torch.pi:g} "
                    f"degrees): output{place} differs by {worst:.3g}, its largest value is {scale:.3g}, allowed "
                    f"{atol + rtol * scale:.3g}.{_first_layer(module, x, group, g, rtol)}"
                )


def _difference(after: Tensor, before: Tensor, group: Group, g: int, way: Reading) -> tuple[float, float]:
    """Largest difference from the turned output, and the largest value of that; infinite where shapes differ."""
    expected = turn_output(before, group, g, way)
    if after.shape != expected.shape:
        return float("inf"), 0.0
    if expected.numel() == 0:
        return 0.0, 0.0
    worst = float((after - expected).abs().max())
    return (float("inf") if worst != worst else worst), float(expected.abs().max())


def _first_layer(module: nn.Module, x: Tensor, group: Group, g: int, rtol: float) -> str:
    """The first layer in the order of execution that does not turn with the input, as a sentence."""
    if x.ndim != 4 or not any(True for _ in module.children()):
        return ""
    errors = equivariance_error(module, x, group, elements=[g])
    for name, error in errors.items():
        if name and not error[0] <= max(10 * rtol, torch.finfo(x.dtype).eps * 100):
            return f" The first layer that does not turn is {name!r} ({errors.types[name]}), error {error[0]:.3g}."
    return ""


def assert_unitary(basis: FilterBasis, *, atol: float = 1e-12) -> None:
    """Assert that every element preserves the inner products of filters.

    Args:
        basis: The basis.
        atol: Largest unitarity error allowed.

    Raises:
        AssertionError: If an element's unitarity error is larger; names it.
    """
    errors = unitarity_error(basis)
    worst = int(errors.argmax())
    if not errors[worst] <= atol:
        raise AssertionError(
            f"not unitary: element {worst} of {basis.group} has error {errors[worst]:.3g}, allowed {atol:.3g}."
        )
