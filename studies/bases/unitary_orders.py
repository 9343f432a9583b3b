"""The unitary basis of every order: is it exact in float32, and what does its group law cost?"""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from orbitconv._support.progress import ProgressCallback, silent
from orbitconv.bases import FilterBasis, FixedBasis, ProcrustesBasis, TabulatedBasis, UnitaryBasis
from orbitconv.groups import Cyclic, exact_elements, grid_permutation
from orbitconv.learn import Moments, measure_moments
from orbitconv.metrics import basis_equivariance_error, group_law_error, unitarity_error
from orbitconv.records.record import Record


def compare_orders(
    record: Record,
    orders: int,
    kernel_sizes: Sequence[int],
    train: Float[Tensor, "n 1 h w"],
    test: Float[Tensor, "n 1 h w"],
    progress: ProgressCallback = silent,
) -> None:
    """Add rows for both families, every cyclic group and every kernel."""
    for n in range(1, orders + 1):
        for kernel in kernel_sizes:
            group = Cyclic(n)
            moments, held_out = (measure_moments(images, group, kernel) for images in (train, test))
            for basis in (UnitaryBasis(group, kernel, moments), ProcrustesBasis(group, kernel, moments)):
                record.add(
                    family=type(basis).__name__.removesuffix("Basis").lower(),
                    group=group.name.lower(),
                    kernel=kernel,
                    num_atoms=basis.num_atoms,
                    seed=0,
                    train=f"cifar10, {len(train)} images",
                    test=f"cifar10-test, {len(test)} images",
                    test_error_percent=None,
                    parameters=0,
                    seconds=0.0,
                    **_float32_errors(basis),
                    error_rms=_rms(basis, held_out),
                )
        progress("unitary, every order", n, orders)


def _float32_errors(basis: FixedBasis) -> dict[str, float]:
    """What rounding to float32 leaves of unitarity, the group law and the exact turns."""
    rounded = TabulatedBasis(basis.group, basis.kernel_size, basis(torch.float32))
    atoms = rounded(torch.float64).flatten(2)
    turns = [
        (atoms[g] - atoms[0][:, torch.from_numpy(grid_permutation(basis.group, g, *basis.kernel_size).copy())]).abs()
        for g in exact_elements(basis.group, *basis.kernel_size)
    ]
    return {
        "unitarity_error": float(unitarity_error(rounded).max()),
        "group_law_error": float(group_law_error(rounded).max()),
        "quarter_turn_error": float(torch.stack(turns).max()),
    }


def _rms(basis: FilterBasis, moments: Moments) -> float:
    """Equivariance error, root mean square over the group."""
    return float(basis_equivariance_error(basis, moments).square().mean().sqrt())
