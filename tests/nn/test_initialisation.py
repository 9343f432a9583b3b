import math
import statistics

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from orbitconv.bases import ExactBasis, FilterBasis, HarmonicBasis
from orbitconv.groups import Cyclic
from orbitconv.nn import GroupConv2d, LiftingConv2d
from orbitconv.nn.initialisation import mean_square_gain
from references import FAMILIES

DEPTH = 8


def network(basis: FilterBasis, width: int) -> nn.Sequential:
    layers: list[nn.Module] = [LiftingConv2d(3, width, basis, padding="same", padding_mode="circular")]
    for _ in range(DEPTH):
        layers += [nn.ReLU(), GroupConv2d(width, width, basis, padding="same", padding_mode="circular")]
    return nn.Sequential(*layers)


@torch.no_grad()
def growth(basis: FilterBasis, width: int = 24, seeds: int = 8, scale: float = 1.0) -> float:
    """Mean square at the end over that after lifting; geometric mean over seeds."""
    logs = []
    for seed in range(seeds):
        torch.manual_seed(seed)
        net = network(basis, width)
        for layer in net:
            if isinstance(layer, GroupConv2d):
                layer.coefficients *= scale
        first = net[0](torch.randn(1, 3, 16, 16))
        logs.append(math.log(float(net[1:](first).square().mean() / first.square().mean())))
    return math.exp(statistics.mean(logs))


@pytest.mark.parametrize("name", FAMILIES)
def test_mean_square_survives_eight_layers(name):
    assert 1 / 4 < growth(FAMILIES[name]()) < 4


def test_counting_energy_alone_would_explode_with_harmonics():
    basis = HarmonicBasis(Cyclic(8), 3)
    energy = float(basis(torch.float64).square().sum((1, 2, 3)).mean())  # what He et al. count
    layer = GroupConv2d(24, 24, basis)
    he = math.sqrt(2 / (layer.coefficients[0, ..., 0].numel() * energy))
    scale = he / float(layer.coefficients.detach().square().mean().sqrt())
    assert growth(basis, scale=scale) > 4
    assert growth(basis, scale=scale) > 5 * growth(basis)


@pytest.mark.parametrize("name", FAMILIES)
def test_lifting_doubles_the_mean_square_of_white_input(name):
    # He et al.: twice the mean square before ReLU is the same mean square after it.
    basis = FAMILIES[name]()
    with torch.no_grad():
        y = LiftingConv2d(2, 600, basis)(torch.randn(4, 2, 12, 12))
    assert float(y.square().mean()) == pytest.approx(2, rel=0.15)


@pytest.mark.parametrize("layers_before", [0, 1])
@pytest.mark.parametrize("name", ["exact-C4-3", "harmonic-C8-3", "gaussian-C8-3", "unitary-C8-3"])
def test_gain_is_that_of_a_random_network(name, layers_before):
    atoms = FAMILIES[name]()(torch.float64)
    side = 4 * atoms.shape[-1]
    x = torch.randn(1, 512, side, side, dtype=torch.float64)
    for layer in range(layers_before + 1):
        x = x.relu() if layer else x
        x = x / x.square().mean().sqrt()
        # One element of the group for every output channel: gains are means over the group.
        element = torch.arange(512) % len(atoms)
        w = torch.randn(512, 512, atoms.shape[1], dtype=torch.float64) / math.sqrt(512)
        filters = torch.einsum("oid,odpq->oipq", w, atoms[element])
        pad = [(k // 2, k - 1 - k // 2) for k in atoms.shape[:1:-1]]
        x = F.conv2d(F.pad(x, [p for sides in pad for p in sides], mode="circular"), filters)
    assert mean_square_gain(atoms, layers_before) == pytest.approx(float(x.square().mean()), rel=0.08)


def test_bias_starts_at_zero_and_reset_draws_anew():
    layer = GroupConv2d(2, 2, ExactBasis(Cyclic(4), 3))
    before = layer.coefficients.detach().clone()
    with torch.no_grad():
        layer.bias.fill_(1)
    layer.reset_parameters()
    assert not layer.bias.any()
    assert (layer.coefficients != before).all()
