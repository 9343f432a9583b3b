"""Mixed precision: filters are made in float32, features flow in sixteen bits."""

import pytest
import torch
from torch import nn

from orbitconv.bases import ExactBasis
from orbitconv.groups import Cyclic, Dihedral
from orbitconv.nn import BasisConv2d, GroupConv2d, LiftingConv2d
from references import FAMILIES, images, network, unitary

LOW = pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=["bfloat16", "float16"])
# Rounding of one step; errors of a few layers stay below some of them.
STEP = {torch.bfloat16: 2**-8, torch.float16: 2**-11}


def record_filters(layer: BasisConv2d, monkeypatch: pytest.MonkeyPatch) -> list[torch.dtype]:
    """Dtypes of the filters and atoms that a layer makes from now on."""
    seen: list[torch.dtype] = []
    make = layer._expand
    monkeypatch.setattr(layer, "_expand", lambda *a, **k: seen.append((weight := make(*a, **k)).dtype) or weight)
    layer.basis.register_forward_hook(lambda *call: seen.append(call[-1].dtype))
    return seen


@LOW
@pytest.mark.parametrize("kind", [LiftingConv2d, GroupConv2d])
def test_autocast_makes_filters_in_float32_and_returns_sixteen_bits(kind, dtype, monkeypatch):
    layer = kind(2, 2, unitary(Cyclic(8), 3), padding=1)
    x = torch.randn(2, 2, *([8] if kind is GroupConv2d else []), 6, 6)
    expected = layer(x).detach()
    seen = record_filters(layer, monkeypatch)
    with torch.autocast("cpu", dtype):
        y = layer(x)
    assert seen == [torch.float32, torch.float32]
    assert y.dtype == dtype
    torch.testing.assert_close(y.detach().float(), expected, rtol=0, atol=4 * STEP[dtype] * float(expected.abs().max()))


def test_a_backward_pass_inside_autocast_takes_large_filters_back_in_float32_too(monkeypatch):
    monkeypatch.setattr("orbitconv.nn.products.dense._SMALL_PRODUCT", 0)
    layer, gradient = GroupConv2d(2, 2, unitary(Cyclic(8), 3)), torch.randn(16, 16, 3, 3)
    found = []
    for enabled in (False, True):
        layer.zero_grad()
        filters = layer.filters()
        with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
            filters.backward(gradient)
        found.append(layer.coefficients.grad)
    assert torch.equal(*found)


@LOW
@pytest.mark.parametrize("name", ["unitary-C8-3", "exact-D4-2", "bilinear-C6-3x5"])
def test_gradients_under_autocast_are_float32_and_close(name, dtype):
    net = network(FAMILIES[name]())
    net[5].p = 0.0  # dropout draws other numbers each time
    x = images(8)

    def gradients() -> list[torch.Tensor]:
        net.zero_grad()
        net(x).float().square().mean().backward()
        return [p.grad.clone() for p in net.parameters()]

    expected = gradients()
    with torch.autocast("cpu", dtype):
        found = gradients()
    assert {gradient.dtype for gradient in found} == {torch.float32}
    difference = torch.cat([(a - b).flatten() for a, b in zip(found, expected, strict=True)]).norm()
    assert difference < 32 * STEP[dtype] * torch.cat([b.flatten() for b in expected]).norm()


def test_running_statistics_stay_float32_under_autocast():
    net = network(ExactBasis(Dihedral(4), 3))
    with torch.autocast("cpu", torch.bfloat16):
        net(images(4))
    assert net[1].running_mean.dtype == net[1].running_var.dtype == torch.float32
    assert net[1].running_mean.any()


def test_layers_refuse_another_dtype_where_nothing_casts():
    net = nn.Sequential(LiftingConv2d(1, 2, ExactBasis(Cyclic(4), 3)))
    with pytest.raises(TypeError, match=r"expects input of its own dtype torch\.float32, got torch\.bfloat16"):
        net(images(1).bfloat16())
