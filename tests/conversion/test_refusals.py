"""What cannot be converted is refused by its path, with what to do; or stays plain, and the report says so."""

import pytest
import torch
from torch import nn

import orbitconv
from orbitconv import ExactBasis
from orbitconv.groups import Cyclic
from orbitconv.nn import LiftingConv2d
from plain_networks import TinyResNet

IMAGE = torch.zeros(1, 3, 12, 12)


class Standardized(nn.Conv2d):
    def forward(self, x):
        weight = (self.weight - self.weight.mean((1, 2, 3), keepdim=True)) * 10
        return self._conv_forward(x, weight, self.bias)


class Positions(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = nn.Parameter(torch.randn(1, 4, 12, 12))

    def forward(self, x):
        return x + self.embedding


class Literal(nn.Module):
    def forward(self, x):
        return x.view(-1, 4, 144).mean(2)[:, :, None, None]


class Shuffled(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(4, 4, 1)

    def forward(self, x):
        b, _, h, w = x.shape
        return self.conv(x.view(b, 2, -1, h, w).transpose(1, 2).reshape(b, -1, h, w))


def chain(*layers):
    return nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), *layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2))


SHARED = nn.Conv2d(4, 4, 1)
TWIN = nn.Conv2d(4, 4, 1)
TWIN.weight = SHARED.weight

CASES = {
    "own forward": (chain(Standardized(4, 4, 3, padding=1)), "'1' (Standardized)", "replace={Standardized"),
    "positions": (chain(Positions()), "'1' (Positions)", "Position embeddings"),
    "literal": (chain(Literal()), "'1' (Literal)", "commute with turns"),
    "shuffle": (chain(Shuffled()), "'1.conv' (Conv2d)", "shuffled"),
    "flatten": (
        nn.Sequential(nn.Conv2d(3, 2, 3), nn.ReLU(), nn.Flatten(), nn.Linear(200, 2)), "'3' (Linear)", "100 pixels",
    ),
    "weight norm": (
        chain(nn.utils.parametrizations.weight_norm(nn.Conv2d(4, 4, 1))), "'1' (Parametrized", "parametriz",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_a_module_is_named_by_its_path_with_what_to_do(case):
    model, path, advice = CASES[case]
    with pytest.raises(ValueError, match="convert cannot convert") as caught:
        orbitconv.convert(model, "c4", example=IMAGE)
    assert path in str(caught.value)
    assert advice in str(caught.value)
    assert "strict=False" in str(caught.value)


@pytest.mark.parametrize(("model", "error", "words"), [
    (nn.Linear(3, 2), ValueError, "calls none"),
    (nn.Sequential(nn.Flatten(2), nn.Conv1d(3, 3, 1)), ValueError, "only 1, of other dimensions"),
    (nn.Sequential(LiftingConv2d(3, 2, ExactBasis(Cyclic(4), 3))), ValueError, "0 is LiftingConv2d"),
    (chain(SHARED, TWIN), ValueError, "1.weight and 2.weight share"),
    ("resnet", TypeError, "got str"),
])  # fmt: skip
def test_a_network_that_is_no_plain_one_is_refused(model, error, words):
    with pytest.raises(error, match=words):
        orbitconv.convert(model, "c4", example=torch.zeros(1, 3, 12, 3) if isinstance(model, nn.Linear) else IMAGE)


def test_a_missing_example_names_the_channels():
    with pytest.raises(TypeError, match=r"torch.randn\(1, 3, 64, 64\)"):
        orbitconv.convert(TinyResNet(), "c4")


def test_an_example_that_the_network_does_not_take_is_refused_with_the_place():
    with pytest.raises(ValueError, match=r"fails on this one \(at stem.0\)"):
        orbitconv.convert(TinyResNet(), "c4", example=torch.zeros(1, 2, 12, 12))


@pytest.mark.parametrize("case", ["own forward", "positions", "literal", "shuffle", "flatten"])
def test_what_stays_plain_is_where_equivariance_ends(case):
    model, path, _ = CASES[case]
    network = orbitconv.convert(model, "c4", example=IMAGE, strict=False).double()
    assert repr(network.report.first_lost.path) in path
    assert not network.report.is_exact
    assert network.report.of(network.report.first_lost.path).kind == "plain"
    x = torch.randn(2, 3, 12, 12, dtype=torch.float64)
    assert network(x).shape == (2, 2)


def test_a_module_with_a_rule_of_the_user_is_converted():
    def plain(module):
        fresh = nn.Conv2d(4, 4, 3, padding=1)
        fresh.weight = module.weight
        return fresh

    network = orbitconv.convert(CASES["own forward"][0], "c4", example=IMAGE, replace={Standardized: plain})
    assert network.report.of("1").kind == "group"
