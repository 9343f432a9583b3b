import itertools

import numpy as np
import pytest
import torch
from torch import nn

from orbitconv.bases import ExactBasis
from orbitconv.groups import Cyclic, Dihedral, act_features, act_image
from orbitconv.nn import (
    GroupBatchNorm2d,
    GroupConv2d,
    GroupPool,
    LiftingConv2d,
    keeps_centre,
)
from references import FAMILIES, OPTIONS, correlate, padded

D4 = Dihedral(4)


@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("name", ["exact-D4-2", "exact-C2-3x5", "unitary-C5-3"])
def test_correlates_with_filters_on_the_group(name, options):
    basis = FAMILIES[name]()
    group, n = basis.group, basis.group.order
    layer = GroupConv2d(2, 2, basis, **options).double()
    if layer.bias is not None:
        nn.init.normal_(layer.bias)
    x = torch.randn(1, 2, n, 6, 7, dtype=torch.float64)
    planes = padded(x[0].numpy(), layer, options)
    w, atoms = layer.coefficients.detach().numpy(), basis(torch.float64).numpy()
    per_block = 2 // layer.groups
    with torch.no_grad():
        y = layer(x)[0].numpy()
    for o, g in itertools.product(range(2), range(n)):
        expected = 0.0 if layer.bias is None else float(layer.bias.detach()[o])
        for i, h in itertools.product(range(per_block), range(n)):
            m = next(m for m in range(n) if group.product[g, m] == h)  # g^-1 h
            psi = sum(w[o, i, m, d] * atoms[g, d] for d in range(basis.num_atoms))
            expected = expected + correlate(
                planes[o // per_block * per_block + i, h], psi, layer.stride, layer.dilation
            )
        np.testing.assert_allclose(y[o, g], expected, rtol=0, atol=1e-11)


def test_one_by_one_layer_mixes_channels_and_group_alike_at_every_pixel():
    layer = GroupConv2d(2, 3, ExactBasis(Cyclic(8), 1), bias=False).double()
    x = torch.randn(1, 2, 8, 3, 4, dtype=torch.float64)
    w = layer.coefficients.detach()[..., 0]
    expected = torch.zeros(1, 3, 8, 3, 4, dtype=torch.float64)
    for o, g, i, h in itertools.product(range(3), range(8), range(2), range(8)):
        expected[:, o, g] += w[o, i, (h - g) % 8] * x[:, i, h]
    torch.testing.assert_close(layer(x).detach(), expected, rtol=0, atol=1e-13)


def stack(group, *, stride: int = 1, padding: int = 1, kernel_size: int = 3, **options) -> nn.Sequential:
    """Lifting, two group layers, batch norm and ReLU between them, the last layer strided; trained-like biases."""
    basis = ExactBasis(group, kernel_size)
    net = nn.Sequential(
        LiftingConv2d(2, 3, basis, padding=padding, **options),
        GroupBatchNorm2d(3),
        nn.ReLU(),
        GroupConv2d(3, 4, basis, padding=padding, **options),
        nn.ReLU(),
        GroupConv2d(4, 2, basis, stride=stride, padding=padding, **options),
    ).double()
    for layer in net:
        if getattr(layer, "bias", None) is not None:
            nn.init.normal_(layer.bias)
    net(torch.randn(4, 2, 15, 15, dtype=torch.float64))  # statistics for the batch norm
    return net.eval()


def worst_error(net: nn.Module, group, size: int) -> float:
    x = torch.randn(2, 2, size, size, dtype=torch.float64)
    with torch.no_grad():
        y = net(x)
        errors = [net(act_image(x, group, g)) - act_features(y, group, g) for g in range(group.order)]
    return float(max(error.abs().max() for error in errors))


SIZES = [7, 8, 9, 10]


@pytest.mark.parametrize("group", [Cyclic(2), Cyclic(4), Dihedral(2), D4], ids=str)
@pytest.mark.parametrize("kernel_size", [2, 3, 5])
@pytest.mark.parametrize("padding", [0, 1])
@pytest.mark.parametrize("padding_mode", ["zeros", "reflect", "replicate", "circular"])
def test_stack_is_exactly_equivariant_at_every_size_without_stride(group, kernel_size, padding, padding_mode):
    net = stack(group, kernel_size=kernel_size, padding=padding, padding_mode=padding_mode)
    assert worst_error(net, group, 13) < 1e-12
    assert worst_error(net, group, 14) < 1e-12


@pytest.mark.parametrize("group", [Cyclic(4), D4], ids=str)
@pytest.mark.parametrize("kernel_size", [2, 3])
@pytest.mark.parametrize("padding", [0, 1])
@pytest.mark.parametrize("stride", [2, 3])
@pytest.mark.parametrize("size", SIZES)
def test_strided_stack_is_equivariant_exactly_where_the_centre_is_kept(group, kernel_size, padding, stride, size):
    net = stack(group, kernel_size=kernel_size, padding=padding, stride=stride)
    before = size + 2 * (2 * padding - kernel_size + 1)  # the side that the strided layer sees
    error = worst_error(net, group, size)
    if keeps_centre(before, kernel_size, stride=stride, padding=padding):
        assert error < 1e-12
    else:
        assert error > 1e-2


@pytest.mark.parametrize("size", [8, 32])
def test_even_sizes_under_stride_2_are_not_equivariant(size):
    assert worst_error(stack(Cyclic(4), stride=2), Cyclic(4), size) > 0.1
    assert worst_error(stack(Cyclic(4), stride=2), Cyclic(4), size + 1) < 1e-12


def test_uneven_same_padding_of_even_kernels_is_not_equivariant():
    assert worst_error(stack(Cyclic(4), kernel_size=2, padding="same"), Cyclic(4), 9) > 0.1
    assert worst_error(stack(Cyclic(4), kernel_size=3, padding="same"), Cyclic(4), 9) < 1e-12


def test_dilation_keeps_equivariance():
    assert worst_error(stack(D4, dilation=2, padding=2), D4, 9) < 1e-12


@pytest.mark.parametrize("reduction", ["max", "mean"])
def test_pooling_over_group_and_plane_is_invariant(reduction):
    net = nn.Sequential(
        stack(D4), GroupPool(reduction), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(2, 5).double()
    )
    x = torch.randn(2, 2, 10, 10, dtype=torch.float64)
    with torch.no_grad():
        y = net(x)
        for g in range(8):
            torch.testing.assert_close(net(act_image(x, D4, g)), y, rtol=0, atol=1e-12)


def test_blocks_do_not_see_each_other():
    layer = GroupConv2d(4, 4, ExactBasis(Cyclic(4), 3), groups=2).double()
    x = torch.randn(1, 4, 4, 5, 5, dtype=torch.float64)
    changed = x.clone()
    changed[:, 2:] += 1
    with torch.no_grad():
        before, after = layer(x), layer(changed)
    assert torch.equal(before[:, :2], after[:, :2])
    assert (before[:, 2:] != after[:, 2:]).all()


def test_gradients_are_the_same_bits_every_time():
    layer = GroupConv2d(8, 8, ExactBasis(Cyclic(4), 3), padding=1)
    x = torch.randn(8, 8, 4, 12, 12)
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        gradients = [torch.autograd.grad(layer(x).square().sum(), layer.coefficients)[0] for _ in range(10)]
    finally:
        torch.set_num_threads(threads)
    assert all(torch.equal(gradient, gradients[0]) for gradient in gradients)
