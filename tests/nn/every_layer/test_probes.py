"""What users do to modules, and other equivariant libraries break under."""

import copy
import io
import pickle

import pytest
import torch
from torch import nn

from orbitconv.bases import BilinearBasis, ExactBasis
from orbitconv.groups import Cyclic, Dihedral
from orbitconv.nn import (
    GroupConv2d,
    LiftingConv2d,
)
from references import FAMILIES, images, network, unitary


@pytest.fixture(params=["exact-D4-2", "unitary-C8-3", "harmonic-C8-3", "bilinear-C6-3x5"])
def net(request) -> nn.Sequential:
    return network(FAMILIES[request.param]())


def trained(net: nn.Module) -> nn.Module:
    """One step of training, so that nothing is at its initial value."""
    optimizer = torch.optim.SGD(net.parameters(), 0.1)
    net.train()(images(4)).square().mean().backward()
    optimizer.step()
    optimizer.zero_grad()
    return net


@pytest.mark.parametrize("saved_in_training", [True, False])
def test_state_dict_loads_strictly_across_modes(net, saved_in_training):
    trained(net).train(saved_in_training)
    file = io.BytesIO()
    torch.save(net.state_dict(), file)
    file.seek(0)
    other = trained(copy.deepcopy(net)).train(not saved_in_training)
    result = other.load_state_dict(torch.load(file, weights_only=True), strict=True)
    assert result.missing_keys == result.unexpected_keys == []
    x = images(2)
    assert torch.equal(other.eval()(x), net.eval()(x))


@pytest.mark.parametrize("layer", [0, 4])
def test_nothing_is_stale_after_an_edit_in_eval_mode(net, layer):
    net.eval()
    x = images(2)
    with torch.no_grad():
        before = net[layer](net[:layer](x))
        net[layer].coefficients.mul_(2)
        net[layer].bias.zero_()
        after = net[layer](net[:layer](x))
    torch.testing.assert_close(after, 2 * before, rtol=0, atol=0)


@pytest.mark.parametrize("again", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))], ids=["deepcopy", "pickle"])
def test_copies_compute_the_same_and_share_nothing(net, again):
    trained(net).eval()
    other = again(net)
    x = images(2)
    expected = net(x).detach()
    assert torch.equal(other(x).detach(), expected)
    with torch.no_grad():
        for tensor in (*other.parameters(), *other.buffers()):
            tensor.zero_()
    assert torch.equal(net(x).detach(), expected)


def test_a_saved_network_carries_its_basis():
    saved = network(unitary(Cyclic(8), 3)).eval()
    other = network(BilinearBasis(Cyclic(8), 3)).eval()
    x = images(2)
    assert not torch.equal(other(x), saved(x))
    with pytest.raises(RuntimeError, match=r"BilinearBasis\(C8, .* saved with UnitaryBasis\(C8, "):
        other.load_state_dict(saved.state_dict())
    other.to("meta").load_state_dict(saved.state_dict(), assign=True)
    assert torch.equal(other(x), saved(x))


def test_gradients_for_each_image_by_vmap():
    net = nn.Sequential(
        LiftingConv2d(1, 2, ExactBasis(Cyclic(4), 3)), nn.ReLU(), GroupConv2d(2, 2, ExactBasis(Cyclic(4), 3))
    )
    net.double()
    parameters = {name: p.detach() for name, p in net.named_parameters()}
    x = images(3, dtype=torch.float64)

    def loss(parameters, image):
        return torch.func.functional_call(net, parameters, (image[None],)).square().mean()

    each = torch.func.vmap(torch.func.grad(loss), in_dims=(None, 0))(parameters, x)
    for i in range(3):
        alone = torch.func.grad(loss)(parameters, x[i])
        for name in parameters:
            torch.testing.assert_close(each[name][i], alone[name], rtol=0, atol=1e-14)


@pytest.mark.parametrize("assign", [False, True])
@pytest.mark.parametrize("how", ["argument", "context", "to"])
def test_a_network_built_on_meta_becomes_the_saved_one(how, assign):
    def build(**factory):
        return network(ExactBasis(Dihedral(4), 3), **factory)

    saved = trained(build()).eval()
    if how == "argument":
        net = build(device="meta")
    elif how == "context":
        with torch.device("meta"):
            net = build()
    else:
        net = build().to("meta")
    assert all(p.is_meta for p in net.parameters())
    if not assign:
        net.to_empty(device="cpu")
    net.load_state_dict(saved.state_dict(), assign=assign)
    x = images(2)
    assert torch.equal(net.eval()(x), saved(x))


@pytest.mark.parametrize("kernel_size", [2, 4, (3, 5)])
@pytest.mark.parametrize("family", [ExactBasis, BilinearBasis])
def test_even_and_rectangular_kernels(family, kernel_size):
    net = nn.Sequential(
        LiftingConv2d(1, 2, family(Cyclic(4), kernel_size), padding=2),
        GroupConv2d(2, 2, family(Cyclic(4), kernel_size), padding=2),
    ).double()
    x = images(2, dtype=torch.float64)
    with torch.no_grad():
        expected = torch.rot90(net(x), 1, (-2, -1)).roll(1, 2)
        torch.testing.assert_close(net(torch.rot90(x, 1, (-2, -1))), expected, rtol=0, atol=1e-12)
