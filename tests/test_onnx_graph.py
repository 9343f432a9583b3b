"""Both graphs of an ONNX file give the network's output; the faster one is taken, and said."""

import numpy as np
import pytest
import torch
from torch import nn

from orbitconv import export, onnx_graph
from orbitconv.bases import BilinearBasis, ExactBasis, load_basis
from orbitconv.export import export_model
from orbitconv.groups import Cyclic, Dihedral
from orbitconv.nn import GroupBatchNorm2d, GroupConv2d, GroupPool, LiftingConv2d

pytestmark = pytest.mark.compile
onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxscript")
runtime = pytest.importorskip("onnxruntime")
C8 = load_basis("spectral-c8-k3")


def network(basis=C8):
    """Strides, batch norm, a bias, a 1x1 layer, and one filter bank that is used twice."""
    twice = GroupConv2d(3, 3, basis, padding=1)
    net = nn.Sequential(
        LiftingConv2d(1, 2, basis, padding=1), nn.ReLU(),
        GroupConv2d(2, 3, basis, padding=1, stride=2, bias=False), GroupBatchNorm2d(3), nn.ReLU(),
        twice, nn.Tanh(), twice, GroupConv2d(3, 4, ExactBasis(basis.group, 1)), GroupPool(),
    )  # fmt: skip
    with torch.no_grad():
        net.train()(torch.randn(8, 1, 16, 16) + 1)  # running statistics
    return net.eval()


def gathers(model):
    return [node.op_type for node in model.graph.node].count("Gather")


@pytest.fixture(scope="module")
def asked(tmp_path_factory):
    """What an export asks for: the dense model, bases by name, images; and the network."""
    given = []
    torch.manual_seed(0)
    net = network()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(export, "put_in_order", lambda *a: given.extend(a) or onnx_graph.put_in_order(*a))
        export_model(net, tmp_path_factory.mktemp("model") / "net.onnx", "onnx", (1, 16, 16), graph="dense")
    return net, *given[:3]


@pytest.mark.parametrize("order", ["dense", "fourier"])
def test_both_graphs_give_the_networks_output_at_other_sizes(asked, order):
    net, model, bases, feed = asked
    model = onnx_graph.put_in_order(model, bases, feed, order).model
    assert gathers(model) == (6 if order == "fourier" else 0)
    onnx.checker.check_model(model)
    session = runtime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    for shape in ((1, 1, 16, 16), (3, 1, 17, 21)):
        x = torch.randn(shape)
        with torch.no_grad():
            expected = net(x).numpy()
        (found,) = session.run(None, {"image": x.numpy()})
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5 * abs(expected).max())


@pytest.mark.parametrize(("shares", "count", "words"), [
    ([0.5, 1.2, 0.6], 2, "1 of 3 group convolutions in Fourier space: 0.60 of the time"),
    ([0.5, 0.7, 0.99], 0, "the network takes 0.99 of the time"),
    ([1.1, 1.4], 0, "each takes 1.10 of the time or more"),
])  # fmt: skip
def test_layers_with_which_the_runtime_is_faster_are_taken_and_said(asked, monkeypatch, shares, count, words):
    _, model, bases, feed = asked
    answers = iter(shares)  # of the first layer, of the bank that is used twice, of the network
    monkeypatch.setattr(onnx_graph, "_compared", lambda *_: next(answers))
    ordered = onnx_graph.put_in_order(model, bases, feed, "auto")
    assert words in ordered.words
    assert gathers(ordered.model) == count
    assert next(answers, None) is None


def test_an_export_measures_and_says_what_it_took(tmp_path):
    exported = export_model(network(), tmp_path / "net.onnx", "onnx", (1, 16, 16))
    assert "3 group convolutions" in exported.graph
    assert ("in Fourier space:" in exported.graph) == (gathers(onnx.load(exported.path)) > 0)


def test_layers_with_mirrors_are_put_in_order_too(tmp_path):
    net = network(ExactBasis(Dihedral(4), 3))
    exported = export_model(net, tmp_path / "net.onnx", "onnx", (1, 16, 16), graph="fourier")
    assert "3 group convolutions in Fourier space" in exported.graph
    assert exported.error < 1e-5


def test_bases_that_are_not_steerable_leave_one_graph(asked):
    _, model, bases, feed = asked
    others = dict.fromkeys(bases, BilinearBasis(Cyclic(8), 3))
    assert onnx_graph.put_in_order(model, others, feed, "fourier") == (model, "")


def test_an_unknown_graph_is_refused(tmp_path):
    with pytest.raises(ValueError, match="the graph 'auto', 'dense' or 'fourier', got 'fast'"):
        export_model(network(), tmp_path / "net.onnx", "onnx", (1, 16, 16), graph="fast")
