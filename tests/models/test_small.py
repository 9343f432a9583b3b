import itertools

import pytest
import torch
from torch import nn

from orbitconv.bases import ExactBasis, HarmonicBasis
from orbitconv.groups import Cyclic, Dihedral
from orbitconv.models import SmallCNN, count_parameters, width_for
from orbitconv.nn import GroupBatchNorm2d, GroupConv2d, GroupMaxPool2d, LiftingConv2d

BASES = [None, ExactBasis(Cyclic(4), 3), HarmonicBasis(Cyclic(8), 5), ExactBasis(Dihedral(4), 3)]


def formula(basis, width):
    """Parameters by hand: convolutions, batch norms, the linear layer for ten classes."""
    per_pair, per_lift = (9, 9) if basis is None else (basis.group.order * basis.num_atoms, basis.num_atoms)
    shares = (1, 1, 2, 2, 2)
    pairs = sum(a * b for a, b in itertools.pairwise(shares))
    return pairs * per_pair * width**2 + (per_lift + 2 * sum(shares) + 20) * width + 10


@pytest.mark.parametrize("basis", BASES, ids=str)
@pytest.mark.parametrize("budget", [300, 3000, 50_000])
def test_width_for_a_budget_is_the_best_of_all(basis, budget):
    best = min(range(1, 225), key=lambda width: abs(formula(basis, width) - budget))
    assert width_for(lambda width: SmallCNN(basis, width=width), budget) == best
    assert count_parameters(SmallCNN(basis, width=3)) == formula(basis, 3)


def test_layers_written_out_draw_and_compute_the_same():
    basis = HarmonicBasis(Cyclic(8), 5)
    torch.manual_seed(1)
    network = SmallCNN(basis, width=2)
    torch.manual_seed(1)
    layers = []
    for kind, before, after in (
        (LiftingConv2d, 1, 2), (GroupConv2d, 2, 2), (GroupConv2d, 2, 4), (GroupConv2d, 4, 4), (GroupConv2d, 4, 4)
    ):  # fmt: skip
        layers += [kind(before, after, basis, padding=2, bias=False), GroupBatchNorm2d(after), nn.ReLU()]
        layers += [GroupMaxPool2d(2)] if (before, after) in {(1, 2), (2, 4)} else []
    features, classify = nn.Sequential(*layers), nn.Linear(4, 10)
    x = torch.randn(3, 1, 16, 16)
    assert torch.equal(network(x), classify(features(x).amax(2).amax((2, 3))))
