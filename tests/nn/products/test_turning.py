"""Turned copies of coefficients, against the group's table."""

import pytest
import torch

from orbitconv.groups import Cyclic, Dihedral
from orbitconv.nn.products.turning import copy_windows, sum_windows, turning_of

GROUPS = pytest.mark.parametrize(
    "group", [Cyclic(1), Cyclic(2), Cyclic(5), Cyclic(8), *map(Dihedral, (1, 2, 3, 4, 8))], ids=str
)


@GROUPS
def test_copies_are_those_of_the_table(group):
    coefficients = torch.randn(2, 3, group.order, 4, dtype=torch.float64)
    copies = copy_windows(coefficients, turning_of(group))
    for g in range(group.order):
        for m in range(group.order):
            h = int(group.product[g, m])
            assert torch.equal(copies[:, g, :, h], coefficients[:, :, m])
    assert copies.is_contiguous()


@GROUPS
def test_the_sum_is_the_transpose_of_the_copy(group):
    turning = turning_of(group)
    coefficients = torch.randn(2, 3, group.order, 4, dtype=torch.float64)
    turned = torch.randn(2, group.order, 3, group.order, 4, dtype=torch.float64)
    left, right = (
        (copy_windows(coefficients, turning) * turned).sum(),
        (coefficients * sum_windows(turned, turning)).sum(),
    )
    torch.testing.assert_close(left, right, rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize(("group", "pieces"), [(Cyclic(8), 1), (Dihedral(4), 4), (Dihedral(8), 4)], ids=str)
def test_a_table_is_cut_into_few_pieces(group, pieces):
    turning = turning_of(group)
    assert 1 + max(piece for row in turning.windows for piece, _ in row) == pieces
