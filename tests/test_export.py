"""Exported files load without the library and give the network's output, or do not appear."""

import sys

import pytest
import torch
from torch import nn

from orbitconv.bases import ExactBasis
from orbitconv.export import export_model
from orbitconv.groups import Cyclic
from orbitconv.models import TurnedCopies, UNet
from orbitconv.nn import (
    FilteredReLU,
    GroupBispectrum,
    GroupPool,
    GroupScaleNorm2d,
    GroupTripleCorrelation,
    LiftingConv2d,
    PairNormReLU,
)
from raising import refuses
from references import images, network, unitary

pytestmark = pytest.mark.compile
C4 = ExactBasis(Cyclic(4), 3)
TOLERANCE = {"torch": 1e-5, "torchscript": 1e-5, "onnx": 1e-4}
FORMATS = pytest.mark.parametrize("file_format", list(TOLERANCE))


def load(path, file_format):
    if file_format == "torch":
        return torch.load(path, weights_only=False)
    if file_format == "torchscript":
        with pytest.warns((DeprecationWarning, FutureWarning), match="`torch.jit.load` is deprecated"):
            return torch.jit.load(path)
    session = pytest.importorskip("onnxruntime").InferenceSession(path, providers=["CPUExecutionProvider"])
    (entry,), (result,) = session.get_inputs(), session.get_outputs()
    assert [isinstance(axis, str) for axis in entry.shape] == [True, False, True, True]
    return lambda x: torch.from_numpy(session.run([result.name], {entry.name: x.numpy()})[0])


def invariant(pool):
    """A network of the layers that alias less, with a pool over its group."""
    layers = [LiftingConv2d(1, 4, C4, padding=1), GroupScaleNorm2d(4), FilteredReLU(), PairNormReLU(4)]
    return nn.Sequential(*layers, pool)


@FORMATS
@pytest.mark.parametrize("kind", ["every layer", "u-net", "bispectrum", "triple correlation"])
def test_output_is_the_networks_at_other_batches_and_sizes(tmp_path, file_format, kind):
    if file_format == "onnx":
        pytest.importorskip("onnxscript")
    nets = {
        "every layer": lambda: network(unitary(Cyclic(8), 3)),
        "u-net": lambda: UNet(C4, width=2, depth=1, in_channels=1),
        "bispectrum": lambda: invariant(GroupBispectrum(Cyclic(4))),
        "triple correlation": lambda: invariant(GroupTripleCorrelation(Cyclic(4))),
    }
    net = nets[kind]()
    with torch.no_grad():
        net.train()(images(8))  # running statistics
    path = tmp_path / "folder" / f"net.{file_format}"
    exported = export_model(net, path, file_format, (1, 16, 16))
    assert net.training
    assert (exported.path, exported.any_size) == (path, True)
    loaded = load(path, file_format)
    net.eval()
    with torch.no_grad():
        for shape in ((1, 16, 16), (5, 17, 20), (2, 12, 31)):
            x = torch.randn(shape[0], 1, *shape[1:])
            expected = net(x)
            atol = TOLERANCE[file_format] * float(expected.abs().max())
            torch.testing.assert_close(loaded(x).detach(), expected, rtol=0, atol=atol)
    assert [file.name for file in path.parent.iterdir()] == [path.name]


class OneSize(nn.Module):
    """The head takes images of one size only."""

    def __init__(self):
        super().__init__()
        self.lift, self.head = LiftingConv2d(1, 2, C4, padding=1), nn.Linear(2 * 4 * 36, 3)

    def forward(self, x):
        return self.head(self.lift(x).flatten(1))


class AnySign(nn.Module):
    """Branches on the shape, with nothing of the library in it."""

    def forward(self, x):
        return -x if x.shape[-1] > 20 else x


class OnBasis(nn.Module):
    """A layer that no rule is for."""

    def __init__(self):
        super().__init__()
        self.basis = C4

    def forward(self, x):
        return x * self.basis().sum()


def test_a_network_of_one_size_takes_any_batch(tmp_path):
    net = OneSize()
    exported = export_model(net, tmp_path / "net.pt", "torch", (1, 6, 6))
    assert not exported.any_size
    x = torch.randn(7, 1, 6, 6)
    torch.testing.assert_close(load(exported.path, "torch")(x), net(x), rtol=0, atol=1e-6)


@pytest.mark.parametrize(("net", "file_format", "error", "words"), [
    (nn.Sequential(AnySign(), LiftingConv2d(1, 2, C4)).double(), "onnx", ValueError, r"network\.float\(\)"),
    (nn.Sequential(nn.Identity(), OnBasis()), "torch", TypeError, r"layer OnBasis \(at 1\)"),
    (nn.Linear(5, 2), "torch", ValueError, r"no images of shape \(2, 1, 6, 6\)"),
    (OneSize(), "pickle", ValueError, "format 'torch', 'onnx' or 'torchscript', got 'pickle'"),
    (nn.AdaptiveMaxPool2d(2, return_indices=True), "torch", TypeError, "one tensor, got tuple"),
], ids=["dtype", "layer", "size", "format", "output"])  # fmt: skip
@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")
def test_refuses_and_writes_nothing(tmp_path, net, file_format, error, words):
    refuses(error, words, export_model, net, tmp_path / "net", file_format, (1, 6, 6))
    assert list(tmp_path.iterdir()) == []


class Grows(nn.Module):
    """The output grows with the image, in steps that the exporter cannot solve for."""

    def __init__(self):
        super().__init__()
        self.lift, self.pool, self.last = LiftingConv2d(1, 2, C4, 2, 1), GroupPool(), nn.Conv2d(2, 3, 1)

    def forward(self, x):
        y = self.last(nn.functional.avg_pool2d(self.pool(self.lift(x)), 7))
        return y.view(y.size(0), -1)


class Checks(nn.Module):
    """Checks the shape of its input, and branches on it around layers of the library."""

    def __init__(self):
        super().__init__()
        self.lift, self.pool = LiftingConv2d(1, 2, C4, padding=1), GroupPool()

    def forward(self, x):
        if x.shape[1] != 1:
            raise ValueError("channels")
        y = self.pool(self.lift(x))
        return y if x.shape[-1] > 10 else -y


@pytest.mark.parametrize(("net", "side", "reason"), [
    (Grows(), 14, "cannot be solved"),
    (TurnedCopies(nn.Sequential(LiftingConv2d(1, 2, C4), GroupPool()), 2, order=4), 6, "SymInt"),
], ids=["output", "turned copies"])  # fmt: skip
@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")
def test_onnx_of_one_size_where_sides_cannot_be_free(tmp_path, net, side, reason):
    runtime = pytest.importorskip("onnxruntime")
    exported = export_model(net, tmp_path / "net.onnx", "onnx", (1, side, side))
    assert not exported.any_size
    assert reason in exported.reason
    session = runtime.InferenceSession(exported.path, providers=["CPUExecutionProvider"])
    assert session.get_inputs()[0].shape[1:] == [1, side, side]
    x = torch.randn(3, 1, side, side)
    (found,) = session.run(None, {"image": x.numpy()})
    torch.testing.assert_close(torch.from_numpy(found), net(x), rtol=0, atol=1e-4)


@pytest.mark.parametrize("file_format", ["torch", "torchscript"])
def test_files_of_networks_that_branch_on_sizes_refuse_others(tmp_path, file_format):
    net = Checks()
    exported = export_model(net, tmp_path / "net", file_format, (1, 8, 8))
    assert "another branch" in exported.reason
    loaded = load(exported.path, file_format)
    x = torch.randn(5, 1, 8, 8)
    torch.testing.assert_close(loaded(x), net(x), rtol=0, atol=1e-6)
    refuses((AssertionError, torch.jit.Error), "images of 8x8 pixels only", loaded, torch.zeros(1, 1, 16, 16))


@pytest.mark.parametrize("module", ["onnx", "onnxscript", "onnxruntime"])
def test_says_which_extra_brings_a_missing_library(tmp_path, monkeypatch, module):
    pytest.importorskip("onnxscript")
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ModuleNotFoundError, match=rf"needs the module {module}.*\.\[export\]"):
        export_model(OneSize(), tmp_path / "net.onnx", "onnx", (1, 6, 6))
    assert list(tmp_path.iterdir()) == []
