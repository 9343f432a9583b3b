"""torch.compile and torch.export take a network of every kind of layer in one graph."""

import copy

import pytest
import torch
from torch import nn

from orbitconv.bases import ExactBasis
from orbitconv.groups import Cyclic, Dihedral
from orbitconv.models import MODELS
from public_calls import LAYERS
from references import channels_last, images, network, unitary

pytestmark = [
    pytest.mark.compile,
    # Torch's compiler and exporter warn about their own internals, differently in each release.
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore:.*torch.jit.*:UserWarning"),
]


@pytest.fixture(scope="module")
def net() -> nn.Sequential:
    torch.manual_seed(0)
    return network(unitary(Cyclic(8), 3)).eval()


def test_compiles_in_one_graph_forward_and_backward(net):
    torch._dynamo.reset()
    compiled = torch.compile(net, fullgraph=True, backend="aot_eager", dynamic=True)
    for batch in (2, 5):  # another batch size needs no other graph
        x = images(batch)
        net.zero_grad()
        expected = net(x)
        expected.square().mean().backward()
        gradients = [p.grad.clone() for p in net.parameters()]
        net.zero_grad()
        found = compiled(x)
        found.square().mean().backward()
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)
        for p, gradient in zip(net.parameters(), gradients, strict=True):
            torch.testing.assert_close(p.grad, gradient, rtol=1e-4, atol=1e-5)


def test_compiles_in_training_mode_too(net):
    torch._dynamo.reset()
    training = copy.deepcopy(net).train()
    training[5].p = 0.0  # dropout draws its own numbers when compiled
    other = copy.deepcopy(training)
    compiled = torch.compile(other, fullgraph=True, backend="aot_eager")
    x = images(4)
    torch.testing.assert_close(compiled(x), training(x), rtol=0, atol=1e-5)
    for key, value in training.state_dict().items():
        torch.testing.assert_close(other.state_dict()[key], value, rtol=0, atol=1e-6)


@pytest.mark.parametrize("basis", [lambda: unitary(Cyclic(8), 3), lambda: ExactBasis(Dihedral(4), 2)])
def test_exports_with_the_head_and_a_free_batch_size(basis, tmp_path):
    net = network(basis()).eval()
    batch = torch.export.Dim("batch", min=1, max=64)
    program = torch.export.export(net, (images(2),), dynamic_shapes={"input": {0: batch}})
    torch.export.save(program, tmp_path / "net.pt2")
    loaded = torch.export.load(tmp_path / "net.pt2").module()
    for size in (2, 7):
        x = images(size)
        torch.testing.assert_close(loaded(x), net(x), rtol=0, atol=1e-6)


def assert_compiles_once(module: nn.Module, *sample: int, last: bool = False) -> None:
    """One graph, forward and backward, that serves batches of any size."""
    torch._dynamo.reset()
    compiled = torch.compile(module, fullgraph=True, backend="aot_eager")
    for batch in (3, 2, 7):
        x = torch.randn(batch, *sample)
        x = (channels_last(x) if last else x).requires_grad_()
        torch._dynamo.mark_dynamic(x, 0)
        with torch.compiler.set_stance("default" if batch == 3 else "fail_on_recompile"):
            compiled(x).square().sum().backward()
        assert x.grad.isfinite().all()


@pytest.mark.parametrize("name", LAYERS)
def test_every_layer_trains_in_one_graph_for_batches_of_any_size(name):
    assert_compiles_once(LAYERS[name].make().train(), *LAYERS[name].shape[1:])


@pytest.mark.parametrize("name", ["GroupConv2d", "GroupBatchNorm2d", "GroupMaxPool2d"])
def test_layers_compile_channels_last(name):
    assert_compiles_once(LAYERS[name].make().train(), *LAYERS[name].shape[1:], last=True)


@pytest.mark.parametrize("name", MODELS)
def test_every_network_trains_in_one_graph_for_batches_of_any_size(name):
    options = {"resnet": {"depth": 8}, "wide-resnet": {"depth": 10, "widen": 1}, "unet": {"depth": 1}}.get(name, {})
    net = MODELS[name](lambda size: ExactBasis(Cyclic(4), size), width=1, in_channels=1, **options)
    assert_compiles_once(net.train(), 1, 28, 28)
