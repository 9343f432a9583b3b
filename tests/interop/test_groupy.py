"""GrouPy's layers, from its formulas: matrices on (row, column), filters read from g^-1 h, double loops."""

import itertools

import numpy as np
import pytest
import torch

from orbitconv.groups import Dihedral
from orbitconv.interop import from_groupy, to_groupy
from orbitconv.interop.groupy import groupy_order
from orbitconv.nn import GroupConv2d, LiftingConv2d

ORDER = {"p4": 4, "p4m": 8}


def matrix(element):
    """Element 4 m + r as a matrix on (row, column)."""
    m, r = divmod(element, 4)
    cos, sin = [(1, 0), (0, 1), (-1, 0), (0, -1)][r]
    return np.diag([(-1) ** m, 1]) @ np.array([[cos, -sin], [sin, cos]])


def element_of(m):
    return next(e for e in range(8) if (matrix(e) == m).all())


def transformed(weight, group):
    """Its filters at every element, by indices: value at (h, x) is that of the given filter at g^-1 (h, x)."""
    order, (out_channels, in_channels, elements, side, _) = ORDER[group], weight.shape
    made = np.zeros((out_channels, order, in_channels, elements, side, side))
    for g, h, row, col in itertools.product(range(order), range(elements), range(side), range(side)):
        inverse = matrix(g).T
        centred = 2 * np.array([row, col]) - (side - 1)  # twice the offset, for even sides
        from_row, from_col = (inverse @ centred + (side - 1)) // 2
        from_h = element_of(inverse @ matrix(h)) if elements > 1 else 0
        made[:, g, :, h, row, col] = weight[:, :, from_h, from_row, from_col]
    return made


def correlate(features, weight, bias, group, stride, padding):
    """The layer, by loops over output pixels."""
    filters = transformed(weight, group)
    padded = np.pad(features, [(0, 0), (0, 0), (0, 0), (padding, padding), (padding, padding)])
    side = weight.shape[-1]
    rows, cols = ((length - side) // stride + 1 for length in padded.shape[-2:])
    y = np.zeros((len(features), *filters.shape[:2], rows, cols))
    for row, col in itertools.product(range(rows), range(cols)):
        window = padded[..., row * stride : row * stride + side, col * stride : col * stride + side]
        y[..., row, col] = np.einsum("bihyx,ogihyx->bog", window, filters)
    return y + bias[:, None, None, None]


@pytest.mark.parametrize("side", [1, 3, 5])
@pytest.mark.parametrize("lifts", [True, False], ids=["lifting", "group"])
@pytest.mark.parametrize("group", ORDER)
def test_outputs_are_those_of_its_formulas(group, lifts, side):
    draws, order = np.random.default_rng(0), ORDER[group]
    elements = 1 if lifts else order
    weight, bias = draws.normal(size=(3, 2, elements, side, side)), draws.normal(size=3)
    features = draws.normal(size=(2, 2, elements, 8, 7))
    layer = from_groupy(weight, group, bias, stride=2, padding=1)
    assert isinstance(layer, LiftingConv2d if lifts else GroupConv2d)
    theirs_to_ours = [0, 1, 2, 3, 6, 5, 4, 7][:order]
    x = features[:, :, 0] if lifts else features[:, :, theirs_to_ours]
    expected = correlate(features, weight, bias, group, 2, 1)[:, :, theirs_to_ours]
    np.testing.assert_allclose(layer(torch.from_numpy(x)).detach().numpy(), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("lifts", [True, False], ids=["lifting", "group"])
def test_even_filters_of_p4_turn_about_their_middle(lifts):
    draws = np.random.default_rng(0)
    weight, features = (
        draws.normal(size=(2, 1, 1 if lifts else 4, 2, 2)),
        draws.normal(size=(1, 1, 1 if lifts else 4, 5, 5)),
    )
    y = from_groupy(weight, "p4")(torch.from_numpy(features[:, :, 0] if lifts else features))
    np.testing.assert_allclose(y.detach().numpy(), correlate(features, weight, np.zeros(2), "p4", 1, 0), atol=1e-12)


def test_the_order_is_that_of_the_matrices():
    group, order = Dihedral(4), groupy_order(Dihedral(4))
    for g in range(8):
        np.testing.assert_array_equal(matrix(int(order[g])), group.matrix(g).round(12))
    assert (order[order] == np.arange(8)).all()


@pytest.mark.parametrize("lifts", [True, False], ids=["lifting", "group"])
@pytest.mark.parametrize("group", ORDER)
def test_filters_come_back(group, lifts):
    weight, bias = torch.randn(3, 2, 1 if lifts else ORDER[group], 3, 3), torch.randn(3)
    filters, back = to_groupy(from_groupy(weight, group, bias))
    assert torch.equal(filters, weight)
    assert torch.equal(back, bias)
    assert to_groupy(from_groupy(weight, group))[1] is None
