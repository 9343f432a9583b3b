"""A convolution in five plain steps gives the numbers of the dense one, and takes every filtered plane once."""

import pytest
import torch
import torch.nn.functional as F

from orbitconv.bases import HarmonicBasis, load_basis
from orbitconv.groups import Cyclic
from orbitconv.nn.products.frequencies import in_frequencies
from orbitconv.nn.products.kernel.ops import expand_by_index
from orbitconv.nn.products.turning import turning_of


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize(
    "basis",
    ["spectral-c4-k3", "spectral-c8-k5-d7", "unitary-c16-k3", "spectral-c12-k3", HarmonicBasis(Cyclic(6), 3)],
    ids=str,
)
def test_five_steps_are_the_dense_convolution(basis, stride):
    basis = load_basis(basis) if isinstance(basis, str) else basis
    order, atoms = basis.group.order, basis(torch.float64)
    coefficients = torch.randn(3, 2, order, basis.num_atoms, dtype=torch.float64)
    x, padding = torch.randn(2, 2 * order, 9, 12, dtype=torch.float64), basis.kernel_size[0] // 2
    weight = expand_by_index(coefficients, atoms, turning_of(basis.group).source)
    steps = in_frequencies(coefficients, atoms)
    y = F.conv2d(x, steps.transform, groups=2)
    y = F.conv2d(y, steps.filters, None, stride, padding, groups=order)
    y = F.conv2d(y[:, steps.order], steps.mixing, groups=order // 2)
    y = F.conv2d(y[:, steps.back], steps.inverse, groups=3)
    torch.testing.assert_close(y, F.conv2d(x, weight, None, stride, padding), rtol=1e-12, atol=1e-12)
    assert sorted(steps.order.tolist()) == list(range(len(steps.filters)))


def test_groups_of_odd_order_have_no_steps():
    basis = HarmonicBasis(Cyclic(5), 3)
    assert in_frequencies(torch.randn(1, 1, 5, basis.num_atoms).double(), basis(torch.float64)) is None


def test_bases_that_are_not_steerable_have_no_steps():
    assert in_frequencies(torch.randn(1, 1, 8, 2).double(), torch.randn(8, 2, 3, 3).double()) is None
