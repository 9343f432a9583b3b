"""Networks frozen for inference: the numbers of the folded network, packed once, and never stale."""

import copy
import pickle

import pytest
import torch

from orbitconv.bases import load_basis
from orbitconv.models import ResNet, SmallCNN
from orbitconv.nn import GroupConv2d, fold, freeze
from orbitconv.nn.flat import FlatLayer
from orbitconv.nn.folding import packed
from orbitconv.nn.folding.packed import PackedConv2d
from orbitconv.nn.products import kernel
from orbitconv.nn.products.kernel import fused


@pytest.fixture
def products(monkeypatch, built_kernel):
    """Names of the compiled functions that are called, for products of any size."""
    called = []
    for name in ("pack", "correlate"):
        real = getattr(fused, name)

        def counted(*arguments, name=name, real=real, **options):
            called.append(name)
            return real(*arguments, **options)

        monkeypatch.setattr(fused, name, counted)
    monkeypatch.setattr(packed, "packed_pays_off", lambda *_: True)
    return called


def used(network: torch.nn.Module) -> torch.nn.Module:
    """After training has moved the statistics and scales of batch norm."""
    with torch.no_grad():
        network.train()(torch.randn(8, 1, 16, 16) + 1)
        for name, parameter in network.named_parameters():
            if "norm" in name or parameter.ndim == 1:
                parameter.add_(0.3 * torch.randn_like(parameter))
    return network.eval()


@pytest.mark.parametrize("name", ["spectral-c8-k3", "unitary-c4-k3"])
def test_a_frozen_network_computes_what_the_network_does(products, name):
    network = used(ResNet(name, depth=8, width=2, in_channels=1))
    frozen = freeze(network)
    x = torch.randn(2, 1, 16, 16)
    with kernel.switched_off(), torch.no_grad():
        expected = network.double()(x.double())
    products.clear()  # of training
    with torch.no_grad():
        found = frozen(x)
    assert products.count("correlate") == sum(isinstance(m, PackedConv2d) for m in frozen.modules()) > 4
    assert ((found - expected).norm() / expected.norm()).item() < 5e-6


@pytest.mark.parametrize("stride", [1, 2])
def test_planes_smaller_than_the_kernel_are_refused_as_by_a_convolution(products, stride):
    frozen = freeze(torch.nn.Sequential(GroupConv2d(2, 2, "spectral-c8-k7", stride)).eval())
    with torch.no_grad():
        assert frozen(torch.randn(2, 2, 8, 7, 9)).shape[:3] == (2, 2, 8)
        assert "correlate" in products
        with pytest.raises(RuntimeError, match="Kernel size can't be greater"):
            frozen(torch.randn(2, 2, 8, 9, 6))


def test_filters_are_packed_once_and_again_where_they_change(products):
    frozen = freeze(SmallCNN("spectral-c8-k3", width=2).eval())
    x, layers = torch.randn(2, 1, 16, 16), sum(isinstance(m, PackedConv2d) for m in frozen.modules())
    first = frozen(x)
    frozen(x)
    assert products.count("pack") == layers
    other = fold(SmallCNN("spectral-c8-k3", width=2).eval())
    state = other.state_dict()
    frozen.load_state_dict({name: state[name.replace(".plain", "")] for name in frozen.state_dict()})
    assert products.count("pack") == layers
    torch.testing.assert_close(frozen(x), other(x), rtol=1e-4, atol=1e-5)
    assert products.count("pack") == 2 * layers
    assert not torch.allclose(first, frozen(x))


def test_copies_and_pickles_are_packed_anew(products):
    frozen = freeze(SmallCNN("spectral-c8-k3", width=2).eval())
    x = torch.randn(2, 1, 16, 16)
    expected = frozen(x)
    layer = next(m for m in frozen.modules() if isinstance(m, PackedConv2d))
    for twin in (copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))):
        planes = torch.randn(1, twin.plain.in_channels, 9, 9)
        before = products.count("pack")
        torch.testing.assert_close(twin(planes), twin.plain(planes).relu(), rtol=1e-4, atol=1e-5)
        assert products.count("pack") == before + 1
    assert torch.equal(frozen(x), expected)


@pytest.mark.parametrize(("name", "place"), [("weight", (0, 0, 0, 0)), ("bias", (3,))])
def test_filters_that_are_none_of_the_basis_and_biases_that_differ_within_a_field_stay_dense(products, name, place):
    frozen = freeze(GroupConv2d(2, 3, load_basis("spectral-c8-k3"), padding=1))
    convolution = next(m for m in frozen.modules() if isinstance(m, PackedConv2d))
    with torch.no_grad():
        getattr(convolution.plain, name)[place] += 1
    x = torch.randn(1, 2, 8, 9, 9)
    assert torch.equal(frozen(x).flatten(1, 2), convolution.plain(x.flatten(1, 2)))
    assert products == []


class Sums(torch.nn.Module):
    """Sums after a convolution: of planes, of one number for each channel, and one whose halves are seen elsewhere."""

    def __init__(self):
        super().__init__()
        self.first, self.second, self.third = (GroupConv2d(2, 2, "spectral-c4-k3", padding=1) for _ in range(3))
        self.shift = torch.nn.Parameter(torch.randn(2, 1, 1, 1))

    def forward(self, x):
        y = torch.relu(self.first(x) + x)
        z = (y + self.second(y)).relu()
        w = self.third(z)
        return (self.shift + w).relu() + w + z


def test_sums_and_rectifiers_are_a_part_of_the_convolution_where_nothing_else_sees_it(products):
    network, x = Sums(), torch.randn(2, 2, 4, 9, 9)
    frozen = freeze(network)
    assert sum(m.rectifies for m in frozen.modules() if isinstance(m, PackedConv2d)) == 2
    assert not any("relu" in str(node.target) for node in list(frozen.graph.nodes)[:8])
    for planes in (x, x.to(memory_format=torch.channels_last_3d)):
        torch.testing.assert_close(frozen(planes), network(planes), rtol=1e-4, atol=1e-5)
    given = x.clone()
    frozen(x)
    assert torch.equal(x, given)
    with kernel.switched_off():
        torch.testing.assert_close(frozen(x), network(x), rtol=1e-4, atol=1e-5)


def test_sums_that_spread_one_summand_go_on_in_torch(products):
    class Spread(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.shift = GroupConv2d(2, 2, "spectral-c4-k3", padding=1), torch.randn(1, 2, 4, 1, 1)

        def forward(self, x):
            return (self.conv(x) + x.mean((3, 4), keepdim=True)).relu()

    network, x = Spread(), torch.randn(2, 2, 4, 9, 9)
    torch.testing.assert_close(freeze(network)(x), network(x), rtol=1e-4, atol=1e-5)


def test_without_a_kernel_and_compiled_it_is_the_folded_network(products):
    network = SmallCNN("spectral-c8-k3", width=2).eval()
    frozen, folded, x = freeze(network), fold(network), torch.randn(2, 1, 16, 16)
    with kernel.switched_off():
        assert torch.equal(frozen(x), folded(x))
    assert torch.equal(torch.compile(frozen, backend="eager")(x), folded(x))
    assert torch.equal(frozen.double()(x.double()), folded.double()(x.double()))
    assert products == []


@torch.no_grad()
def test_layers_of_flat_features_and_mirrors_are_packed_too(products):
    for name, order in (("spectral-c8-k3", 8), ("spectral-d4-k3", 8)):
        inner = GroupConv2d(2, 3, name, padding=1)
        torch.nn.init.normal_(inner.bias)
        layer = FlatLayer(inner, order, torch.nn.Conv2d(2 * order, 3 * order, 3, padding=1))
        network, x = torch.nn.Sequential(layer, torch.nn.ReLU()).eval(), torch.randn(2, 2 * order, 9, 9)
        torch.testing.assert_close(freeze(network)(x), network(x), rtol=1e-5, atol=1e-5)
    assert products.count("correlate") >= 2
