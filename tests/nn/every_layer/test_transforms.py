"""Layers under what is done to modules: `torch.func`, loading in inference mode, pruning, export, NumPy's integers."""

import copy
import warnings

import numpy as np
import pytest
import torch
from torch import nn
from torch.func import functional_call, grad, stack_module_state, vmap
from torch.nn.utils import parametrize, prune

from orbitconv.bases import HarmonicBasis
from orbitconv.groups import Cyclic, Dihedral
from orbitconv.nn import GroupBatchNorm2d, GroupConv2d, GroupMaxPool2d, GroupPool, GroupRestriction, LiftingConv2d

C8, D4 = Cyclic(8), Dihedral(4)
PRODUCTS = [
    pytest.param(group, options, id=f"{group} {options}")
    for group, options in (
        (C8, {}), (C8, {"fourier": True}), (C8, {"fourier": False}), (C8, {"recompute": True}),
        (D4, {}), (D4, {"recompute": True}),
    )
]  # fmt: skip


def network(group, options) -> nn.Sequential:
    half = Cyclic(4) if group == D4 else Cyclic(2)
    return nn.Sequential(
        LiftingConv2d(1, 3, HarmonicBasis(group, 3), padding=1), GroupBatchNorm2d(3), nn.ReLU(),
        GroupConv2d(3, 2, HarmonicBasis(group, 3), **options), GroupRestriction(group, half), GroupPool(),
    )  # fmt: skip


@pytest.mark.parametrize("where", ["cpu", "meta"])
@pytest.mark.parametrize(("group", "options"), PRODUCTS)
def test_several_networks_at_once_equal_the_loop(group, options, where):
    networks = [network(group, options).eval() for _ in range(3)]
    parameters, buffers = stack_module_state(networks)
    base, x = copy.deepcopy(networks[0]).to(where), torch.randn(2, 1, 9, 9)
    found = vmap(lambda p, b: functional_call(base, (p, b), (x,)))(parameters, buffers)
    expected = torch.stack([net(x) for net in networks])
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-6 * float(expected.detach().abs().max()))


@pytest.mark.parametrize(("group", "options"), PRODUCTS)
def test_gradients_of_several_networks_equal_the_loop(group, options):
    networks = [network(group, options).eval().double() for _ in range(2)]
    parameters, buffers = stack_module_state(networks)
    base, x = copy.deepcopy(networks[0]).to("meta"), torch.randn(2, 1, 9, 9, dtype=torch.float64)
    found = vmap(grad(lambda p, b: functional_call(base, (p, b), (x,)).square().sum()))(parameters, buffers)
    for n, net in enumerate(networks):
        net(x).square().sum().backward()
        for name, parameter in net.named_parameters():
            torch.testing.assert_close(found[name][n], parameter.grad, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(("group", "options"), PRODUCTS)
def test_sliced_input_under_vmap_equals_the_loop(group, options):
    layer = GroupConv2d(3, 2, HarmonicBasis(group, 3), **options)
    x = torch.randn(4, 2, 3, group.order, 9, 18)[..., ::2]
    expected = torch.stack([layer(part) for part in x])
    torch.testing.assert_close(vmap(layer)(x), expected, rtol=1e-6, atol=1e-6 * float(expected.detach().abs().max()))


@pytest.mark.parametrize("assign", [False, True])
@pytest.mark.parametrize(("group", "options"), PRODUCTS)
def test_a_state_loaded_in_inference_mode_trains_on(group, options, assign):
    first, second, state = network(group, options), network(group, options), network(group, options).state_dict()
    first.load_state_dict(state)
    with torch.inference_mode():
        second.load_state_dict(state, assign=assign)
    x = torch.randn(2, 1, 9, 9)
    for net in (first, second):
        net(x).square().sum().backward()
    for one, other in zip(first.parameters(), second.parameters(), strict=True):
        assert torch.equal(one.grad, other.grad)


@pytest.mark.parametrize("options", [{}, {"fourier": True}, {"fourier": False}], ids=str)
def test_pruned_layers_change_their_dtype(options):
    layer, x = GroupConv2d(3, 2, HarmonicBasis(C8, 3), **options), torch.randn(2, 3, 8, 7, 7, dtype=torch.float64)
    prune.l1_unstructured(layer, "coefficients", 0.3)
    layer.double()
    plain = GroupConv2d(3, 2, HarmonicBasis(C8, 3), fourier=False).double()
    with torch.no_grad():
        plain.coefficients.copy_(layer.coefficients_orig * layer.coefficients_mask)
        plain.bias.copy_(layer.bias)
    torch.testing.assert_close(layer(x), plain(x), rtol=1e-12, atol=1e-12)


def test_parametrized_layers_change_their_dtype():
    class Half(nn.Module):
        def forward(self, x):
            return x / 2

    layer, x = GroupConv2d(3, 2, HarmonicBasis(C8, 3), fourier=True), torch.randn(2, 3, 8, 7, 7, dtype=torch.float64)
    expected = copy.deepcopy(layer).double()
    with torch.no_grad():
        expected.coefficients.div_(2)
    parametrize.register_parametrization(layer, "coefficients", Half())
    torch.testing.assert_close(layer.double()(x), expected(x), rtol=1e-12, atol=1e-12)


@pytest.mark.compile
@pytest.mark.parametrize("kernel_size", [1, 3])
@pytest.mark.parametrize("how", ["export", "trace"])
def test_a_layer_in_fourier_space_is_recorded_for_any_batch(how, kernel_size):
    layer = GroupConv2d(3, 2, HarmonicBasis(C8, kernel_size), padding=1, fourier=True).eval()
    example = torch.randn(4, 3, 8, 7, 7)
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # of torch, that traces are out of fashion
        if how == "trace":
            recorded = torch.jit.trace(layer, example)
        else:
            sizes = {0: torch.export.Dim("batch", min=1, max=64)}
            recorded = torch.export.export(layer, (example,), dynamic_shapes=(sizes,)).module()
        for batch in (1, 2, 7):
            x = torch.randn(batch, 3, 8, 7, 7)
            torch.testing.assert_close(recorded(x), layer(x), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("padding", [np.int64(1), (np.int32(1), np.int64(1)), np.uint8(1)])
def test_padding_may_be_an_integer_of_numpy(padding):
    layer = LiftingConv2d(1, 2, HarmonicBasis(C8, 3), padding=padding)
    assert layer(torch.randn(1, 1, 7, 7)).shape[-2:] == (7, 7)
    assert all(type(side) is int for side in layer.padding)
    assert GroupMaxPool2d(np.int64(2), padding=padding)(torch.randn(1, 1, 8, 6, 6)).shape[-2:] == (4, 4)
