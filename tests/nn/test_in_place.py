"""Any layer may be followed by an activation that overwrites its output, and trains as before."""

import pytest
import torch
from torch import nn

from orbitconv.bases import ExactBasis
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
    SeparableGroupConv2d,
    fold,
    upsample_to,
)

C4, C8 = Cyclic(4), Cyclic(8)
LAYERS = {
    "lift": lambda: LiftingConv2d(3, 2, ExactBasis(C4, 3)),
    "lift again": lambda: LiftingConv2d(3, 2, ExactBasis(C4, 3), recompute=True),
    "dense": lambda: GroupConv2d(3, 2, ExactBasis(C4, 3), fourier=False),
    "again": lambda: GroupConv2d(3, 2, ExactBasis(C4, 3), recompute=True),
    "fourier": lambda: GroupConv2d(3, 2, ExactBasis(C4, 3), fourier=True),
    "fourier 1x1": lambda: GroupConv2d(3, 2, ExactBasis(C4, 1), fourier=True, bias=False),
    "transposed": lambda: GroupConvTranspose2d(3, 2, ExactBasis(C4, 3)),
    "depthwise": lambda: DepthwiseGroupConv2d(3, ExactBasis(C4, 3)),
    "separable": lambda: SeparableGroupConv2d(3, 2, ExactBasis(C4, 3), mixing="separable"),
    "norm": lambda: GroupBatchNorm2d(3),
    "instance norm": lambda: GroupInstanceNorm2d(3),
    "group norm": lambda: GroupGroupNorm2d(3, 3),
    "layer norm": lambda: GroupLayerNorm2d(3),
    "largest": lambda: GroupPool("max"),
    "mean": lambda: GroupPool("mean"),
    "max": lambda: GroupMaxPool2d(2),
    "avg": lambda: GroupAvgPool2d(2),
    "blur": GroupBlurPool2d,
    "planar blur": BlurPool2d,
    "dropout": lambda: GroupDropout(0.5),
    "dropout2d": lambda: GroupDropout2d(0.5),
    "restriction": lambda: GroupRestriction(C4, Cyclic(2)),
}


class Upsample(nn.Module):
    def forward(self, x):
        return upsample_to(x, (12, 12))


def sample(name: str) -> torch.Tensor:
    shape = (2, 3, 6, 6) if "lift" in name or "planar" in name else (2, 3, 4, 6, 6)
    return torch.randn(shape, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("last", [False, True], ids=["contiguous", "channels last"])
@pytest.mark.parametrize("name", [*LAYERS, "upsample"])
def test_an_activation_in_place_gives_the_same_gradient(name, last):
    torch.manual_seed(0)
    layer, x = LAYERS.get(name, Upsample)(), sample(name)
    if last:
        flat = x.flatten(1, -3).contiguous(memory_format=torch.channels_last)
        x = flat.unflatten(1, x.shape[1:-2])
    found = []
    for inplace in (False, True):
        torch.manual_seed(0)
        leaf = x.clone(memory_format=torch.preserve_format).requires_grad_()
        y = nn.LeakyReLU(0.5, inplace=inplace)(layer(leaf))
        found.append(torch.autograd.grad(y.square().sum(), [leaf, *layer.parameters()]))
    for one, other in zip(*found, strict=True):
        assert torch.equal(one, other)


@pytest.mark.compile
def test_a_folded_pool_does_too():
    folded = fold(nn.Sequential(GroupPool(), nn.ReLU(inplace=True)))
    x = sample("pool").requires_grad_()
    (found,) = torch.autograd.grad(folded(x).sum(), x)
    (expected,) = torch.autograd.grad(x.amax(2).relu().sum(), x)
    assert torch.equal(found, expected)


def test_equal_numbers_share_the_gradient_of_the_largest():
    x = torch.ones(1, 1, 4, 1, 1, requires_grad=True)
    (gradient,) = torch.autograd.grad(GroupPool()(x).sum(), x)
    assert torch.equal(gradient, torch.full_like(x, 0.25))
