"""Assertions about equivariance and unitarity, for the tests of this library and of your own layers."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from orbitconv.bases import FilterBasis
from orbitconv.groups import Group, act_features, act_image, exact_elements
from orbitconv.metrics.basis import unitarity_error
from orbitconv.metrics.equivariance import transform_output


def assert_equivariant(
    module: nn.Module,
    x: Tensor,
    group: Group,
    *,
    elements: Sequence[int] | None = None,
    rtol: float = 0.0,
    atol: float = 1e-12,
) -> None:
    """Assert that transforming the input transforms the output.

    Args:
        module: Layer or network, in the mode it shall be tested in.
        x: Input on the plane (rank 4) or on the group (rank 5); float64 for the default tolerance.
        group: The group.
        elements: Group elements to test; by default those that map the grid of `x` to itself, which leave nothing to
            interpolation.
        rtol: Relative tolerance, as in `torch.testing.assert_close`.
        atol: Absolute tolerance.

    Raises:
        AssertionError: If an output differs by more than the tolerance; names the element and its angle.
        ValueError: If the input has another rank, or there is no element to test but the identity.
    """
    if x.ndim not in {4, 5}:
        raise ValueError(f"assert_equivariant expects input of rank 4 or 5, got shape {tuple(x.shape)}.")
    chosen = exact_elements(group, *x.shape[-2:]) if elements is None else tuple(elements)
    if set(chosen) <= {0} and group.order > 1:
        raise ValueError(
            f"assert_equivariant has nothing to test: no element of {group} but the identity maps a "
            f"{x.shape[-2]}x{x.shape[-1]} grid to itself. Name the elements, with a tolerance that fits."
        )
    act = act_features if x.ndim == 5 else act_image
    with torch.no_grad():
        reference = module(x)
        for g in chosen:
            torch.testing.assert_close(
                module(act(x, group, g)),
                transform_output(reference, group, g),
                rtol=rtol,
                atol=atol,
                msg=lambda message, g=g: (
                    f"not equivariant to element {g} of {group} "
                    f"({'mirror, then ' if group.mirrors[g] else ''}{group.angles[g] * 180 / torch.pi:g} degrees):\n"
                    f"{message}"
                ),
            )


def assert_unitary(basis: FilterBasis, *, atol: float = 1e-12) -> None:
    """Assert that every element keeps the inner products of filters.

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
