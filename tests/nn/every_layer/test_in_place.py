"""Any layer may be followed by an activation that overwrites its output, and trains as before."""

import pytest
import torch
from torch import nn

from orbitconv.nn import GroupConv2d, GroupPool, LiftingConv2d, fold
from public_calls import FUNCTIONS, LAYERS, ON_C8, PLANES, Call
from references import channels_last

CALLS = LAYERS | {
    "LiftingConv2d, filters again": Call(lambda: LiftingConv2d(2, 3, "spectral-c8-k3", recompute=True), PLANES),
    "GroupConv2d, filters again": Call(lambda: GroupConv2d(4, 3, "spectral-c8-k3", recompute=True), ON_C8),
    "GroupConv2d 1x1, Fourier": Call(lambda: GroupConv2d(4, 3, "exact-c8-k1", fourier=True, bias=False), ON_C8),
    "upsample_to, on a group": FUNCTIONS["upsample_to, on a group"],
}


@pytest.mark.parametrize("last", [False, True], ids=["contiguous", "channels last"])
@pytest.mark.parametrize("name", CALLS)
def test_an_activation_in_place_gives_the_same_gradient(name, last):
    function, x = CALLS[name].function(), CALLS[name].inputs()
    parameters = [*function.train().parameters()] if isinstance(function, nn.Module) else []
    x = channels_last(x) if last and x.ndim > 3 else x
    found = []
    for inplace in (False, True):
        torch.manual_seed(0)
        leaf = x.clone(memory_format=torch.preserve_format).requires_grad_()
        y = nn.LeakyReLU(0.5, inplace=inplace)(function(leaf))
        found.append(torch.autograd.grad(y.square().sum(), [leaf, *parameters]))
    assert all(torch.equal(*pair) for pair in zip(*found, strict=True))


@pytest.mark.compile
def test_a_folded_pool_does_too():
    folded = fold(nn.Sequential(GroupPool(), nn.ReLU(inplace=True)))
    x = torch.randn(2, 3, 4, 6, 6).requires_grad_()
    (found,) = torch.autograd.grad(folded(x).sum(), x)
    (expected,) = torch.autograd.grad(x.amax(2).relu().sum(), x)
    assert torch.equal(found, expected)


def test_equal_numbers_share_the_gradient_of_the_largest():
    x = torch.ones(1, 1, 4, 1, 1, requires_grad=True)
    (gradient,) = torch.autograd.grad(GroupPool()(x).sum(), x)
    assert torch.equal(gradient, torch.full_like(x, 0.25))
