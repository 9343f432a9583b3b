"""Filters with coefficients at the nearest turns only: the dense layer with zeros elsewhere, at less cost."""

import itertools

import numpy as np
import pytest
import torch
from torch import nn

from orbitconv.bases import ExactBasis, load_basis
from orbitconv.groups import Cyclic, Dihedral, act_features
from orbitconv.models import count_multiply_adds
from orbitconv.nn import GroupConv2d, fold, freeze
from references import OPTIONS, correlate, padded, unitary


def distance(group, m: int) -> int:
    """Turns by which an element differs from no turn, either way."""
    step = m % group.num_rotations
    return min(step, group.num_rotations - step)


@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize(("group", "size"), [(Cyclic(5), 3), (Dihedral(4), 3), (Cyclic(4), 1)], ids=str)
def test_correlates_with_filters_at_the_nearest_turns(group, size, options):
    basis = unitary(group, 3)
    layer = GroupConv2d(2, 4, basis, **options, group_kernel=size).double()
    if layer.bias is not None:
        nn.init.normal_(layer.bias)
    n, per_block, outs = group.order, 2 // layer.groups, 4 // layer.groups
    near = [m for m in range(n) if distance(group, m) <= size // 2]
    assert layer.coefficients.shape == (4, per_block, len(near), basis.num_atoms)
    x = torch.randn(1, 2, n, 6, 7, dtype=torch.float64)
    planes = padded(x[0].numpy(), layer, options)
    w, atoms = layer.coefficients.detach().numpy(), basis(torch.float64).detach().numpy()
    with torch.no_grad():
        y = layer(x)[0].numpy()
    for o, g in itertools.product(range(4), range(n)):
        expected = 0.0 if layer.bias is None else float(layer.bias.detach()[o])
        for i, (slot, m) in itertools.product(range(per_block), enumerate(near)):
            psi = np.tensordot(w[o, i, slot], atoms[g], 1)
            plane = planes[o // outs * per_block + i, group.product[g, m]]
            expected = expected + correlate(plane, psi, layer.stride, layer.dilation)
        np.testing.assert_allclose(y[o, g], expected, rtol=0, atol=1e-11)


@pytest.mark.parametrize("options", [{}, {"fourier": True}, {"recompute": True}, {"groups": 2, "stride": 2}], ids=str)
def test_every_product_gives_the_same_values_and_gradients(options):
    basis = load_basis("spectral-c8-k3")
    local = GroupConv2d(4, 6, basis, padding=1, group_kernel=3, **options).double()
    dense = GroupConv2d(
        4, 6, basis, padding=1, fourier=False, **{k: v for k, v in options.items() if k in {"groups", "stride"}}
    )
    dense = dense.double()
    with torch.no_grad():
        dense.coefficients.zero_()
        dense.coefficients[:, :, [0, 1, 7]] = local.coefficients
        dense.bias.copy_(local.bias.normal_())
    x = torch.randn(2, 4, 8, 9, 9, dtype=torch.float64, requires_grad=True)
    y, expected = local(x), dense(x)
    torch.testing.assert_close(y, expected, rtol=0, atol=1e-12)
    upstream = torch.randn_like(y)
    found = torch.autograd.grad(y, (x, local.coefficients, local.bias), upstream)
    wanted = torch.autograd.grad(expected, (x, dense.coefficients, dense.bias), upstream)
    torch.testing.assert_close(found[0], wanted[0], rtol=0, atol=1e-11)
    torch.testing.assert_close(found[1], wanted[1][:, :, [0, 1, 7]], rtol=0, atol=1e-11)
    torch.testing.assert_close(found[2], wanted[2], rtol=0, atol=1e-11)


@pytest.mark.parametrize("group", [Cyclic(4), Dihedral(4)], ids=str)
@pytest.mark.parametrize("size", [1, 3])
def test_is_exactly_equivariant(group, size):
    layer = GroupConv2d(2, 3, ExactBasis(group, 3), padding=1, group_kernel=size).double()
    x = torch.randn(2, 2, group.order, 7, 7, dtype=torch.float64)
    with torch.no_grad():
        for g in range(group.order):
            expected = act_features(layer(x), group, g)
            torch.testing.assert_close(layer(act_features(x, group, g)), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    ("group", "size", "share"), [(Cyclic(8), 1, 8), (Cyclic(8), 3, 8 / 3), (Dihedral(4), 3, 4 / 3)]
)
def test_parameters_and_multiply_adds_fall_with_the_support(group, size, share):
    def net(group_kernel):
        layer = GroupConv2d(2, 3, unitary(group, 3), padding=1, bias=False, fourier=False, group_kernel=group_kernel)
        return nn.Sequential(nn.Unflatten(1, (2, group.order)), layer)

    shape = (2 * group.order, 8, 8)
    assert net(None)[1].coefficients.numel() == round(share * net(size)[1].coefficients.numel())
    assert count_multiply_adds(net(None), shape) == round(share * count_multiply_adds(net(size), shape))


def test_folds_freezes_and_becomes_a_plain_convolution():
    layer = GroupConv2d(2, 3, load_basis("spectral-c8-k3"), padding=1, group_kernel=3)
    x = torch.randn(2, 2, 8, 7, 7)
    expected = layer(x)
    torch.testing.assert_close(layer.to_conv2d()(x.flatten(1, 2)), expected.flatten(1, 2), rtol=0, atol=1e-5)
    torch.testing.assert_close(layer.convolve(x.flatten(1, 2)), expected.flatten(1, 2), rtol=0, atol=1e-6)
    for plain in (fold(nn.Sequential(layer)), freeze(nn.Sequential(layer))):
        torch.testing.assert_close(plain(x), expected, rtol=0, atol=1e-5)


def test_moves_saves_and_compiles(tmp_path):
    layer = GroupConv2d(2, 3, ExactBasis(Cyclic(4), 3), group_kernel=3)
    x = torch.randn(2, 2, 4, 5, 5)
    assert set(layer.state_dict()) == {"coefficients", "bias", "basis.atoms"}
    with torch.device("meta"):
        other = GroupConv2d(2, 3, ExactBasis(Cyclic(4), 3), group_kernel=3)
    other.load_state_dict(layer.state_dict(), assign=True)
    torch.testing.assert_close(other(x), layer(x), rtol=0, atol=0)
    assert layer.to("meta")(x.to("meta")).shape == (2, 3, 4, 3, 3)


@pytest.mark.compile
def test_exports_for_any_batch():
    layer = GroupConv2d(2, 3, ExactBasis(Cyclic(4), 3), group_kernel=3)
    program = torch.export.export(layer, (torch.randn(2, 2, 4, 5, 5),), dynamic_shapes=({0: torch.export.Dim.DYNAMIC},))
    x = torch.randn(5, 2, 4, 5, 5)
    torch.testing.assert_close(program.module()(x), layer(x), rtol=0, atol=1e-6)


@pytest.mark.parametrize(("group", "size"), [(Cyclic(8), 2), (Cyclic(8), 9), (Cyclic(8), 0), (Dihedral(4), 5)], ids=str)
def test_refuses_even_supports_and_those_larger_than_the_group(group, size):
    with pytest.raises(ValueError, match=f"GroupConv2d expects group_kernel as an odd number from 1 to .* got {size}"):
        GroupConv2d(2, 3, unitary(group, 3), group_kernel=size)
    with pytest.raises(TypeError, match=r"an odd integer or None, got 1\.5"):
        GroupConv2d(2, 3, unitary(group, 3), group_kernel=1.5)
