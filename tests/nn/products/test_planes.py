"""Compiled pooling, blurring and upsampling: the numbers of the layers in float64, and what they leave to torch."""

import pytest
import torch

from orbitconv.nn import BlurPool2d, GroupBlurPool2d, GroupMaxPool2d, upsample_to
from orbitconv.nn.products import kernel
from orbitconv.nn.products.kernel import planes as compiled

SIZES = [(3, 3), (4, 4), (5, 16), (28, 28), (14, 9), (33, 31), (32, 64), (65, 3)]


@pytest.fixture
def calls(monkeypatch, built_kernel):
    """Names of the compiled functions that are called."""
    found = []
    real = compiled._run
    monkeypatch.setattr(compiled, "_run", lambda name, *rest: found.append(name) or real(name, *rest))
    return found


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("size", SIZES)
def test_layers_compute_what_they_compute_in_float64(calls, monkeypatch, size, threads):
    monkeypatch.setattr(torch, "get_num_threads", lambda: threads)
    monkeypatch.setattr(compiled, "_ALONE", 0)
    x = torch.randn(3, 2, 4, *size)
    small = x[..., : (size[0] + 1) // 2, : (size[1] + 1) // 2].contiguous()
    for layer, given in (
        (GroupMaxPool2d(2), x),
        (GroupBlurPool2d(), x),
        (BlurPool2d(), x[0]),
        (lambda planes: upsample_to(planes, size), small),
    ):
        torch.testing.assert_close(layer(given), layer(given.double()).float(), rtol=1e-6, atol=1e-6)
    assert calls == ["max_pool", "blur_pool", "blur_pool", "upsample"]


def test_nan_and_infinities_come_through_as_in_torch(calls):
    x = torch.randn(1, 1, 4, 12, 20)
    x[..., 3, 5], x[..., 6, 6], x[..., 6, 12], x[..., 6:8, 16:18] = torch.nan, torch.inf, -torch.inf, -torch.inf
    for layer in (GroupMaxPool2d(2), GroupBlurPool2d()):
        found = layer(x)
        with kernel.switched_off():
            torch.testing.assert_close(found, layer(x), equal_nan=True)
    assert len(calls) == 2


def test_gradients_other_layouts_and_dtypes_are_left_to_torch(calls):
    x = torch.randn(2, 2, 4, 8, 8)
    for layer in (GroupMaxPool2d(2), GroupBlurPool2d()):
        layer(x.clone().requires_grad_()).sum().backward()
        layer(x.double())
        layer(x.transpose(3, 4))
        layer(x[:0])
        torch.vmap(layer)(x[None])
        torch.compile(layer, backend="eager")(x)
        with kernel.switched_off():
            layer(x)
    for layer in (GroupMaxPool2d(3), GroupMaxPool2d(2, stride=1), GroupMaxPool2d(2, padding=1)):
        layer(x)
    assert calls == []
