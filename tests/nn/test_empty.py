"""A batch without images gives an output without images, of the shape that others have, and gradients of zero."""

import pytest
import torch

import orbitconv.nn
from orbitconv.bases import HarmonicBasis
from orbitconv.groups import Cyclic
from orbitconv.nn import (
    BlurPool2d,
    DepthwiseGroupConv2d,
    GroupAvgPool2d,
    GroupBatchNorm2d,
    GroupBlurPool2d,
    GroupConv2d,
    GroupConvTranspose2d,
    GroupDropout,
    GroupDropout2d,
    GroupGroupNorm2d,
    GroupInstanceNorm2d,
    GroupLayerNorm2d,
    GroupMaxPool2d,
    GroupPool,
    GroupRestriction,
    LiftingConv2d,
    OrbitLayout,
    OrbitLinear,
    SeparableGroupConv2d,
    fold,
    upsample_to,
)

C8 = Cyclic(8)
SHIFT = torch.roll(torch.eye(6, dtype=torch.float64), 1, 0)[None]
LAYERS = [
    (LiftingConv2d, lambda: LiftingConv2d(3, 2, HarmonicBasis(C8, 3)), (3, 7, 7)),
    (GroupConv2d, lambda: GroupConv2d(3, 2, HarmonicBasis(C8, 3), fourier=False), (3, 8, 7, 7)),
    (GroupConv2d, lambda: GroupConv2d(3, 2, HarmonicBasis(C8, 3), recompute=True), (3, 8, 7, 7)),
    (GroupConv2d, lambda: GroupConv2d(3, 2, HarmonicBasis(C8, 3), fourier=True, padding="same"), (3, 8, 7, 7)),
    (GroupConv2d, lambda: GroupConv2d(3, 3, HarmonicBasis(C8, 3), groups=3, stride=2, fourier=True), (3, 8, 7, 7)),
    (GroupConv2d, lambda: GroupConv2d(3, 2, HarmonicBasis(C8, 1), fourier=True), (3, 8, 7, 7)),
    (GroupConv2d, lambda: GroupConv2d(3, 2, HarmonicBasis(C8, 3)), (3, 8, 7, 7)),
    (GroupConvTranspose2d, lambda: GroupConvTranspose2d(4, 2, HarmonicBasis(C8, 3), 2, 1, 1, 2), (4, 8, 7, 7)),
    (DepthwiseGroupConv2d, lambda: DepthwiseGroupConv2d(3, HarmonicBasis(C8, 3)), (3, 8, 7, 7)),
    (SeparableGroupConv2d, lambda: SeparableGroupConv2d(3, 2, HarmonicBasis(C8, 3), fourier=True), (3, 8, 7, 7)),
    (SeparableGroupConv2d, lambda: SeparableGroupConv2d(3, 2, HarmonicBasis(C8, 3), mixing="separable"), (3, 8, 7, 7)),
    (GroupBatchNorm2d, lambda: GroupBatchNorm2d(3), (3, 8, 7, 7)),
    (GroupInstanceNorm2d, lambda: GroupInstanceNorm2d(3, affine=True), (3, 8, 7, 7)),
    (GroupGroupNorm2d, lambda: GroupGroupNorm2d(3, 3), (3, 8, 7, 7)),
    (GroupLayerNorm2d, lambda: GroupLayerNorm2d(3), (3, 8, 7, 7)),
    (GroupPool, GroupPool, (3, 8, 7, 7)),
    (GroupPool, lambda: GroupPool("mean"), (3, 8, 7, 7)),
    (GroupMaxPool2d, lambda: GroupMaxPool2d(2), (3, 8, 7, 7)),
    (GroupAvgPool2d, lambda: GroupAvgPool2d(2), (3, 8, 7, 7)),
    (GroupBlurPool2d, GroupBlurPool2d, (3, 8, 7, 7)),
    (BlurPool2d, BlurPool2d, (3, 7, 7)),
    (GroupDropout, lambda: GroupDropout(0.5), (3, 8, 7, 7)),
    (GroupDropout2d, lambda: GroupDropout2d(0.5), (3, 8, 7, 7)),
    (GroupRestriction, lambda: GroupRestriction(C8, Cyclic(4)), (3, 8, 7, 7)),
    (OrbitLayout, lambda: OrbitLayout(SHIFT, [6]), (3, 6)),
    (OrbitLinear, lambda: OrbitLinear(3, 2, SHIFT, [6]), (3, 6)),
    (OrbitLinear, lambda: OrbitLinear(3, 2, SHIFT, [6], filters="dense"), (3, 6)),
]


def laid(x: torch.Tensor, last: bool) -> torch.Tensor:
    if not last or x.ndim < 4:
        return x
    return x.flatten(1, -3).contiguous(memory_format=torch.channels_last).unflatten(1, x.shape[1:-2])


@pytest.mark.parametrize("last", [False, True], ids=["contiguous", "channels last"])
@pytest.mark.parametrize("training", [False, True], ids=["eval", "train"])
@pytest.mark.parametrize(
    ("build", "shape"), [layer[1:] for layer in LAYERS], ids=[layer[0].__name__ for layer in LAYERS]
)
def test_no_images_in_no_images_out(build, shape, training, last):
    layer = build().train(training)
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
@pytest.mark.parametrize(
    ("build", "shape"), [layer[1:] for layer in LAYERS], ids=[layer[0].__name__ for layer in LAYERS]
)
def test_folded_layers_do_the_same(build, shape):
    folded = fold(torch.nn.Sequential(build()))
    like = folded(torch.randn(2, *shape))
    assert folded(torch.randn(0, *shape)).shape == (0, *like.shape[1:])


@pytest.mark.parametrize("side", [13, 14])
@pytest.mark.parametrize("lead", [(0, 3), (2, 0), (0, 3, 8), (3,)])
def test_upsampling_of_nothing_is_nothing(lead, side):
    x = torch.randn(*lead, 7, 7, requires_grad=True)
    y = upsample_to(x, (side, side))
    y.sum().backward()
    assert y.shape == (*lead, side, side)


def test_the_table_holds_every_layer():
    layers = [v for v in vars(orbitconv.nn).values() if isinstance(v, type) and issubclass(v, torch.nn.Module)]
    known = {kind for kind, *_ in LAYERS}
    assert [v for v in layers if v not in known and not getattr(v, "__abstractmethods__", ())] == []
