"""The product in Triton, in its interpreter: values and gradients beside float64; when a layer takes it."""

import json
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

CASES = [  # basis, fields of output and input, height and width, stride, padding, how borders are padded, bias, dtype
    ("spectral-c8-k3", (3, 2), (9, 11), 2, 1, "zeros", True, "float32"),
    ("spectral-c8-k5-d7", (33, 1), (5, 6), 1, 0, "zeros", True, "float32"),
    ("unitary-c16-k3", (1, 3), (3, 13), 1, 2, "zeros", True, "float32"),
    ("spectral-c4-k3", (2, 2), (8, 9), (1, 2), (2, 0), "zeros", False, "float32"),
    ("spectral-c12-k3", (2, 1), (4, 5), 1, 1, "reflect", True, "float32"),
    ("spectral-c6-k3", (1, 2), (5, 3), 2, 1, "circular", True, "float32"),
    ("spectral-c8-k3", (3, 2), (9, 11), 2, 1, "zeros", True, "bfloat16"),
    ("unitary-c4-k5", (2, 3), (6, 7), 1, 2, "zeros", True, "bfloat16"),
]
ERRORS = [  # what the kernel says, and what makes it wrong: taps, padding, steps, the second plane, the second part
    ("row + tap // side, column + tap % side", "row + tap % side, column + tap // side"),
    ("* step_y - top", "* step_y"),
    ("% out_width * step_x", "% out_width"),
    ("tl.load(weight + side * side,", "tl.load(weight,"),
    ("factors += outputs * inputs * slots", "factors += 0"),
]
_RUN = """
import importlib.util
import json
import sys
import tempfile
from pathlib import Path

import torch
from orbitconv.nn import GroupConv2d
from orbitconv.nn.products.gpu import layer as gpu
from orbitconv.nn.products.gpu import mixing


def errors_of(name, fields, size, stride, padding, border, has_bias, dtype):
    torch.manual_seed(0)
    options = {"stride": stride, "padding": padding, "padding_mode": border, "bias": has_bias}
    layer = GroupConv2d(fields[1], fields[0], name, **options).to(getattr(torch, dtype))
    if has_bias:
        torch.nn.init.normal_(layer.bias)
    exact = GroupConv2d(fields[1], fields[0], name, **options, dtype=torch.float64, fourier=False)
    exact.load_state_dict(layer.state_dict())
    order = layer.group.order
    x = torch.randn(2, fields[1] * order, *size).to(getattr(torch, dtype)).requires_grad_()
    y = gpu.multiply(layer, x, gpu.offer_anywhere(layer, x), layer._expand)
    assert y.dtype == x.dtype
    gradient = torch.randn(y.shape).to(y.dtype)
    x64 = x.detach().double().requires_grad_()
    z = exact(x64.unflatten(1, (-1, order))).flatten(1, 2)
    found = y, *torch.autograd.grad(y, (x, *layer.parameters()), gradient)
    right = z, *torch.autograd.grad(z, (x64, *exact.parameters()), gradient.double())
    assert [one.shape for one in found] == [other.shape for other in right]
    return [((one - other).norm() / other.norm()).item() for one, other in zip(found, right)]


cases, errors = json.loads(sys.stdin.read())
found = [errors_of(*case) for case in cases]
source = Path(mixing.__file__).read_text()
planted = []
with tempfile.TemporaryDirectory() as folder:
    for number, (right, wrong) in enumerate(errors):
        assert source.count(right) == 1, right
        path = Path(folder, f"wrong{number}.py")
        path.write_text(source.replace(right, wrong))
        spec = importlib.util.spec_from_file_location(path.stem, path)
        module = sys.modules[mixing.__name__] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        planted.append(errors_of(*cases[0])[0])
print(json.dumps([found, planted]))
"""


@pytest.fixture(scope="module")
def interpreted():
    """Relative errors of the values and of every gradient for each case, and of the values for each planted error."""
    pytest.importorskip("triton", reason="needs Triton, of which PyPI has wheels for Linux")
    environment = {**os.environ, "TRITON_INTERPRET": "1", "OMP_NUM_THREADS": "1"}
    given = json.dumps([CASES, ERRORS])
    done = subprocess.run(
        [sys.executable, "-c", _RUN], input=given, env=environment, capture_output=True, text=True, check=False,
        timeout=600,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("number", range(len(CASES)), ids=lambda number: f"{CASES[number][0]}-{CASES[number][-1]}")
def test_values_and_gradients_are_those_of_a_convolution_in_float64(interpreted, number):
    values, *gradients = interpreted[0][number]
    is_half = CASES[number][-1] == "bfloat16"
    assert values <= (2.0**-8 if is_half else 2e-6)  # rounded once, from sums in float32
    assert len(gradients) == 2 + CASES[number][6]
    assert max(gradients) <= (2e-2 if is_half else 2e-6)  # of torch's own convolution


@pytest.mark.parametrize("number", range(len(ERRORS)), ids=lambda number: ERRORS[number][1])
def test_an_error_in_the_kernel_shows(interpreted, number):
    assert interpreted[1][number] > 0.1


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
    monkeypatch.setenv("ORBITCONV_TRITON", "1")
    assert choice.choose(layer, gpu_planes[..., :2]).product == "dense"  # which refuses them


@pytest.mark.parametrize(("options", "basis", "reason"), [
    ({"dilation": 2}, "spectral-c8-k3", "without dilation"),
    ({"groups": 2}, "spectral-c8-k3", "without dilation or groups"),
    ({}, "exact-d4-k3", "cyclic groups of even order"),
    ({}, "bilinear-c8-k3", "not steerable"),
    ({"dtype": torch.float64}, "spectral-c8-k3", "float32 and bfloat16"),
])  # fmt: skip
def test_what_it_does_not_take_is_said(gpu_planes, options, basis, reason):
    layer = GroupConv2d(2, 2, load_basis(basis), **options)
    found = gpu.offer_anywhere(layer, gpu_planes.as_subclass(torch.Tensor).to(layer.coefficients.dtype))
    assert isinstance(found, str)
    assert reason in found


def test_without_triton_it_says_so(monkeypatch):
    monkeypatch.setattr(gpu, "importlib", SimpleNamespace(util=SimpleNamespace(find_spec=lambda _: None)))
    gpu._has_triton.cache_clear()
    layer = GroupConv2d(1, 1, "spectral-c8-k3")
    assert gpu.offer_anywhere(layer, torch.randn(1, 8, 5, 5)) == "Triton is not installed"
    gpu._has_triton.cache_clear()
    assert layer.group == Cyclic(8)
