"""A batch without images gives an output without images, of the shape that others have, and gradients of zero."""

import pytest
import torch

from orbitconv.bases import HarmonicBasis
from orbitconv.groups import Cyclic
from orbitconv.nn import GroupBatchNorm2d, GroupConv2d, fold, upsample_to
from public_calls import LAYERS, ON_C8, Call
from references import channels_last

BASIS = HarmonicBasis(Cyclic(8), 3)
CALLS = LAYERS | {
    "GroupConv2d, recompute": Call(lambda: GroupConv2d(4, 2, BASIS, recompute=True), ON_C8),
    "GroupConv2d, Fourier, same": Call(lambda: GroupConv2d(4, 2, BASIS, fourier=True, padding="same"), ON_C8),
    "GroupConv2d, Fourier, blocks": Call(lambda: GroupConv2d(4, 4, BASIS, groups=2, stride=2, fourier=True), ON_C8),
    "GroupConv2d, pointwise": Call(lambda: GroupConv2d(4, 2, HarmonicBasis(Cyclic(8), 1), fourier=True), ON_C8),
}


def laid(x: torch.Tensor, last: bool) -> torch.Tensor:
    return channels_last(x) if last and x.ndim > 3 else x


@pytest.mark.parametrize(("training", "last"), [(False, True), (True, False)], ids=["eval, channels last", "train"])
@pytest.mark.parametrize("name", CALLS)
def test_no_images_in_no_images_out(name, training, last):
    layer, shape = CALLS[name].make().train(training), CALLS[name].shape[1:]
    like = layer(laid(torch.randn(2, *shape), last))
    layer.zero_grad()
    y = layer(laid(torch.randn(0, *shape), last).requires_grad_())
    assert y.shape == (0, *like.shape[1:])
    assert y.dtype == like.dtype
    y.sum().backward()
    for parameter in layer.parameters():
        assert parameter.grad is None or torch.equal(parameter.grad, torch.zeros_like(parameter))
    if training and isinstance(layer, GroupBatchNorm2d):
        assert torch.isfinite(layer.running_mean).all()


@pytest.mark.compile
@pytest.mark.parametrize("name", CALLS)
def test_folded_layers_do_the_same(name):
    folded, shape = fold(torch.nn.Sequential(CALLS[name].make())), CALLS[name].shape[1:]
    like = folded(torch.randn(2, *shape))
    assert folded(torch.randn(0, *shape)).shape == (0, *like.shape[1:])


@pytest.mark.parametrize("side", [13, 14])
@pytest.mark.parametrize("lead", [(0, 3), (2, 0), (0, 3, 8), (3,)])
def test_upsampling_of_nothing_is_nothing(lead, side):
    x = torch.randn(*lead, 7, 7, requires_grad=True)
    y = upsample_to(x, (side, side))
    y.sum().backward()
    assert y.shape == (*lead, side, side)
