"""The product in Triton, in its interpreter: values and gradients beside float64; when a layer takes it."""

import os
import subprocess
import sys
from types import SimpleNamespace

import pytest
import torch

from orbitconv.bases import load_basis
from orbitconv.groups import Cyclic
from orbitconv.nn import GroupConv2d, explain
from orbitconv.nn.products import choice
from orbitconv.nn.products.gpu import layer as gpu

_CHECK = """
import torch
import torch.nn.functional as F
from orbitconv.bases import load_basis
from orbitconv.nn import GroupConv2d
from orbitconv.nn.products.gpu import layer as gpu

torch.manual_seed(0)
for name, channels, size, stride, padding in (
    ("spectral-c8-k3", (3, 2), (9, 11), 2, 1),
    ("spectral-c8-k5-d7", (33, 1), (5, 6), 1, 0),
    ("unitary-c16-k3", (1, 3), (3, 13), 1, 2),
    ("spectral-c4-k3", (2, 2), (8, 9), (1, 2), (2, 0)),
):
    layer, exact = (
        GroupConv2d(channels[1], channels[0], name, stride, padding, dtype=dtype, fourier=how)
        for dtype, how in ((torch.float32, "auto"), (torch.float64, False))
    )
    torch.nn.init.normal_(layer.bias)
    exact.load_state_dict(layer.state_dict())
    order = layer.group.order
    x = torch.randn(2, channels[1] * order, *size, requires_grad=True)
    plan = gpu.offer_anywhere(layer, x)
    y = gpu.multiply(layer, x, plan, layer._expand)
    gradient = torch.randn_like(y)
    x64 = x.detach().double().requires_grad_()
    z = exact(x64.unflatten(1, (-1, order))).flatten(1, 2)
    found = y, *torch.autograd.grad(y, (x, layer.coefficients, layer.bias), gradient)
    right = z, *torch.autograd.grad(z, (x64, exact.coefficients, exact.bias), gradient.double())
    for one, other in zip(found, right):
        assert one.shape == other.shape
        error = ((one - other).norm() / other.norm()).item()
        assert error <= 2e-6, (name, error)
"""


def test_values_and_gradients_are_those_of_a_convolution_in_float64():
    pytest.importorskip("triton", reason="needs Triton, of which PyPI has wheels for Linux")
    environment = {**os.environ, "TRITON_INTERPRET": "1", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", _CHECK], env=environment, capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0, done.stderr


class OnGpu(torch.Tensor):
    """A tensor that says that it is on a GPU."""

    is_cuda = True


@pytest.fixture
def gpu_planes(monkeypatch):
    monkeypatch.setattr(gpu, "_has_triton", lambda: True)
    return torch.randn(1, 16, 5, 5).as_subclass(OnGpu)


def test_a_layer_takes_it_for_cuda_tensors_where_that_is_asked_for(monkeypatch, gpu_planes):
    layer = GroupConv2d(2, 2, "spectral-c8-k3")
    monkeypatch.setenv("ORBITCONV_TRITON", "1")
    assert choice.choose(layer, gpu_planes).product == "triton"
    assert choice.choose(layer, gpu_planes.as_subclass(torch.Tensor)).product != "triton"
    assert "takes the triton product: ORBITCONV_TRITON=1" in explain(layer, gpu_planes.unflatten(1, (2, 8)))
    monkeypatch.delenv("ORBITCONV_TRITON")
    assert choice.choose(layer, gpu_planes).product == "dense"
    assert "never timed on a GPU" in explain(layer, gpu_planes.unflatten(1, (2, 8)))


@pytest.mark.parametrize(
    ("options", "basis", "reason"),
    [
        ({"dilation": 2}, "spectral-c8-k3", "without dilation"),
        ({"groups": 2}, "spectral-c8-k3", "without dilation or groups"),
        ({}, "exact-d4-k3", "cyclic groups of even order"),
        ({}, "bilinear-c8-k3", "not steerable"),
        ({"dtype": torch.float64}, "spectral-c8-k3", "float32"),
    ],
)
def test_what_it_does_not_take_is_said(gpu_planes, options, basis, reason):
    layer = GroupConv2d(2, 2, load_basis(basis), **options)
    found = gpu.offer_anywhere(layer, gpu_planes.as_subclass(torch.Tensor))
    assert isinstance(found, str)
    assert reason in found


def test_without_triton_it_says_so(monkeypatch):
    monkeypatch.setattr(gpu, "importlib", SimpleNamespace(util=SimpleNamespace(find_spec=lambda _: None)))
    gpu._has_triton.cache_clear()
    layer = GroupConv2d(1, 1, "spectral-c8-k3")
    assert gpu.offer_anywhere(layer, torch.randn(1, 8, 5, 5)) == "Triton is not installed"
    gpu._has_triton.cache_clear()
    assert layer.group == Cyclic(8)
