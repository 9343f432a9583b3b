"""torch.compile and torch.export take a network of every kind of layer in one graph."""

import copy

import pytest
import torch
from torch import nn

import orbitconv.nn
from orbitconv.bases import ExactBasis
from orbitconv.groups import Cyclic, Dihedral
from orbitconv.models import MODELS
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
)
from references import images, network, unitary

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


def test_compiled_network_sees_weights_edited_in_place(net):
    torch._dynamo.reset()
    edited = copy.deepcopy(net)
    compiled = torch.compile(edited, fullgraph=True, backend="aot_eager")
    x = images(2)
    before = compiled(x)
    with torch.no_grad():
        edited[0].coefficients.mul_(1.5)
    after = compiled(x)
    assert not torch.equal(before, after)
    torch.testing.assert_close(after, edited(x), rtol=0, atol=1e-5)


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


C4 = ExactBasis(Cyclic(4), 3)
SHIFTS = torch.eye(16).roll(1, 0)[None]
PLANAR, ON_GROUP, FEATURES = (2, 8, 7), (2, 4, 8, 7), (2, 16)
# Every layer, and the shape of one sample.
LAYERS = {
    LiftingConv2d: (lambda: LiftingConv2d(2, 3, C4, padding="same"), PLANAR),
    GroupConv2d: (lambda: GroupConv2d(2, 3, C4, padding=1, padding_mode="circular"), ON_GROUP),
    GroupConvTranspose2d: (lambda: GroupConvTranspose2d(2, 3, C4, 2, 1), ON_GROUP),
    DepthwiseGroupConv2d: (lambda: DepthwiseGroupConv2d(2, C4, padding=1), ON_GROUP),
    SeparableGroupConv2d: (lambda: SeparableGroupConv2d(2, 3, C4, padding=1, mixing="separable"), ON_GROUP),
    GroupBatchNorm2d: (lambda: GroupBatchNorm2d(2), ON_GROUP),
    GroupInstanceNorm2d: (lambda: GroupInstanceNorm2d(2, affine=True), ON_GROUP),
    GroupGroupNorm2d: (lambda: GroupGroupNorm2d(2, 2), ON_GROUP),
    GroupLayerNorm2d: (lambda: GroupLayerNorm2d(2), ON_GROUP),
    GroupMaxPool2d: (lambda: GroupMaxPool2d(2), ON_GROUP),
    GroupAvgPool2d: (lambda: GroupAvgPool2d(2), ON_GROUP),
    GroupBlurPool2d: (GroupBlurPool2d, ON_GROUP),
    BlurPool2d: (BlurPool2d, PLANAR),
    GroupPool: (GroupPool, ON_GROUP),
    GroupDropout: (lambda: GroupDropout(0.5), ON_GROUP),
    GroupDropout2d: (lambda: GroupDropout2d(0.5), ON_GROUP),
    GroupRestriction: (lambda: GroupRestriction(Cyclic(4), Cyclic(2)), ON_GROUP),
    OrbitLayout: (lambda: OrbitLayout(SHIFTS, (16,)), FEATURES),
    OrbitLinear: (lambda: OrbitLinear(2, 3, SHIFTS, (16,)), FEATURES),
}


def test_no_layer_is_forgotten():
    public = [
        value for value in vars(orbitconv.nn).values() if isinstance(value, type) and issubclass(value, nn.Module)
    ]
    assert {layer for layer in public if not getattr(layer, "__abstractmethods__", ())} == set(LAYERS)


def assert_compiles_once(
    module: nn.Module, *sample: int, layout: torch.memory_format = torch.contiguous_format
) -> None:
    """One graph, forward and backward, that serves batches of any size."""
    torch._dynamo.reset()
    compiled = torch.compile(module, fullgraph=True, backend="aot_eager")
    for batch in (3, 2, 7):
        x = torch.randn(batch, *sample)
        if layout is not torch.contiguous_format:
            x = x.flatten(1, -3).contiguous(memory_format=layout).unflatten(1, sample[:-2])
        x.requires_grad_()
        torch._dynamo.mark_dynamic(x, 0)
        with torch.compiler.set_stance("default" if batch == 3 else "fail_on_recompile"):
            compiled(x).square().sum().backward()
        assert x.grad.isfinite().all()


@pytest.mark.parametrize("layer", LAYERS, ids=lambda layer: layer.__name__)
def test_every_layer_trains_in_one_graph_for_batches_of_any_size(layer):
    build, sample = LAYERS[layer]
    assert_compiles_once(build().train(), *sample)


@pytest.mark.parametrize("layer", [GroupConv2d, GroupBatchNorm2d, GroupMaxPool2d], ids=lambda layer: layer.__name__)
def test_layers_compile_channels_last(layer):
    assert_compiles_once(LAYERS[layer][0]().train(), *ON_GROUP, layout=torch.channels_last)


@pytest.mark.parametrize("name", MODELS)
def test_every_network_trains_in_one_graph_for_batches_of_any_size(name):
    options = {"resnet": {"depth": 8}, "wide-resnet": {"depth": 10, "widen": 1}, "unet": {"depth": 1}}.get(name, {})
    net = MODELS[name](lambda size: ExactBasis(Cyclic(4), size), width=1, in_channels=1, **options)
    assert_compiles_once(net.train(), 1, 28, 28)
