"""The small networks and their budgets."""

import pytest
import torch

from orbitconv.bases import ExactBasis, HarmonicBasis
from orbitconv.groups import Cyclic, Dihedral
from orbitconv.models import SmallCNN, SmallGroupCNN, count_parameters, width_for_parameters
from orbitconv.testing import assert_equivariant

BASES = [None, ExactBasis(Cyclic(4), 3), HarmonicBasis(Cyclic(8), 5), ExactBasis(Dihedral(4), 3)]


@pytest.mark.parametrize("basis", BASES, ids=str)
@pytest.mark.parametrize("budget", [3000, 50_000])
def test_no_other_width_comes_nearer_to_the_budget(basis, budget):
    width = width_for_parameters(basis, 3, budget)
    build = (lambda w: SmallCNN(w, 3)) if basis is None else (lambda w: SmallGroupCNN(basis, w))
    here = abs(count_parameters(build(width)) - budget)
    assert here <= abs(count_parameters(build(width + 1)) - budget)
    assert width == 1 or here <= abs(count_parameters(build(width - 1)) - budget)


@pytest.mark.parametrize("group", [Cyclic(4), Dihedral(4)], ids=str)
@pytest.mark.parametrize("size", [16, 28])
def test_class_scores_do_not_notice_exact_moves(group, size):
    network = SmallGroupCNN(ExactBasis(group, 3), 2).double().eval()
    assert_equivariant(network, torch.randn(2, 1, size, size, dtype=torch.float64), group)


def test_the_plain_twin_notices_them():
    network = SmallCNN(4).double().eval()
    with pytest.raises(AssertionError, match="90 degrees"):
        assert_equivariant(network, torch.randn(2, 1, 16, 16, dtype=torch.float64), Cyclic(4))


def test_shapes():
    x = torch.randn(3, 2, 20, 20)
    assert SmallCNN(4, in_channels=2, num_classes=7)(x).shape == (3, 7)
    assert SmallGroupCNN(ExactBasis(Cyclic(4), 3), 2, in_channels=2, num_classes=7)(x).shape == (3, 7)


def test_a_width_below_one_is_refused():
    with pytest.raises(ValueError, match="width >= 1"):
        SmallCNN(0)
    with pytest.raises(ValueError, match="width >= 1"):
        SmallGroupCNN(ExactBasis(Cyclic(4), 3), 0)
