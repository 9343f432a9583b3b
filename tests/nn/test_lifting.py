import itertools

import numpy as np
import pytest
import torch
from torch import nn

from orbitconv.bases import ExactBasis
from orbitconv.groups import Cyclic, Dihedral, act_features, act_image
from orbitconv.nn import LiftingConv2d
from references import FAMILIES, OPTIONS, correlate, padded, turn


@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("name", ["exact-D4-2", "exact-C2-3x5", "unitary-C5-3", "harmonic-C8-3"])
def test_correlates_with_every_turned_copy_of_the_filter(name, options):
    basis = FAMILIES[name]()
    layer = LiftingConv2d(2, 4, basis, **options).double()
    if layer.bias is not None:
        nn.init.normal_(layer.bias)
    x = torch.randn(1, 2, 7, 8, dtype=torch.float64)
    planes = padded(x[0].numpy(), layer, options)
    w, atoms = layer.coefficients.detach().numpy(), basis(torch.float64).numpy()
    out_per_block, in_per_block = 4 // layer.groups, 2 // layer.groups
    with torch.no_grad():
        y = layer(x)[0].numpy()
    for o, g in itertools.product(range(4), range(basis.group.order)):
        expected = 0.0 if layer.bias is None else float(layer.bias.detach()[o])
        for i in range(in_per_block):
            psi = sum(w[o, i, d] * atoms[g, d] for d in range(basis.num_atoms))
            plane = planes[o // out_per_block * in_per_block + i]
            expected = expected + correlate(plane, psi, layer.stride, layer.dilation)
        np.testing.assert_allclose(y[o, g], expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("g", range(8))
def test_exact_filters_are_rot90_of_the_first(g):
    layer = LiftingConv2d(2, 3, ExactBasis(Dihedral(4), 3), dtype=torch.float64)
    filters = layer.filters().detach().unflatten(0, (3, 8))
    assert torch.equal(filters[:, g], turn(filters[:, 0], g % 4, mirror=g >= 4))
    assert torch.equal(filters[:, 0].flatten(2), layer.coefficients.detach())


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_without_a_group_it_is_conv2d(options):
    layer = LiftingConv2d(2, 4, ExactBasis(Cyclic(1), 3), **options).double()
    plain = nn.Conv2d(2, 4, 3, **options).double()
    with torch.no_grad():
        plain.weight.copy_(layer.coefficients.reshape(plain.weight.shape))
        if plain.bias is not None:
            plain.bias.copy_(layer.bias.normal_())
    x = torch.randn(2, 2, 9, 8, dtype=torch.float64)
    torch.testing.assert_close(layer(x)[:, :, 0], plain(x), rtol=0, atol=1e-13)


@pytest.mark.parametrize("kernel_size", [1, 2, 3, 5])
@pytest.mark.parametrize("g", range(8))
def test_turning_the_input_turns_planes_and_permutes_the_group_axis(kernel_size, g):
    layer = LiftingConv2d(2, 3, ExactBasis(Dihedral(4), kernel_size), padding=1).double()
    x = torch.randn(2, 2, 9, 9, dtype=torch.float64)
    with torch.no_grad():
        expected = act_features(layer(x), Dihedral(4), g)
        torch.testing.assert_close(layer(act_image(x, Dihedral(4), g)), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("k", range(4))
def test_quarter_turns_roll_the_group_axis_also_on_rectangles(k):
    layer = LiftingConv2d(2, 3, ExactBasis(Cyclic(4), 3), padding=1).double()
    x = torch.randn(2, 2, 7, 10, dtype=torch.float64)
    with torch.no_grad():
        expected = turn(layer(x), k).roll(k, dims=2)
        torch.testing.assert_close(layer(turn(x, k)), expected, rtol=0, atol=1e-12)
