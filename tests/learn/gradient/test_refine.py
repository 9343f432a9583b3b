import copy

import pytest
import torch
from torch import nn

from orbitconv.bases import BilinearBasis, ExactBasis, LearnedBasis
from orbitconv.groups import Cyclic
from orbitconv.learn import FineTuning, fine_tune_basis, share_learned_basis
from orbitconv.metrics import equivariance_error, unitarity_error
from orbitconv.nn import GroupBatchNorm2d, GroupConv2d, GroupPool, LiftingConv2d
from raising import refuses
from references import smooth_images, unitary

GROUP = Cyclic(8)


def tiny_network(basis):
    torch.manual_seed(1)
    return nn.Sequential(
        LiftingConv2d(1, 3, basis, padding=1),
        GroupBatchNorm2d(3),
        nn.ReLU(),
        GroupConv2d(3, 4, basis, padding=1),
        GroupPool("max"),
        nn.Flatten(),
    ).double()


@pytest.mark.parametrize("orthogonal", [False, True])
def test_lowers_the_error_and_touches_nothing_but_the_basis(orthogonal):
    network = tiny_network(LearnedBasis(GROUP, 3, orthogonal=orthogonal))
    network[0].coefficients.grad = torch.ones_like(network[0].coefficients)
    network.train()
    network[2].eval()
    before = copy.deepcopy(network.state_dict())
    test_images = smooth_images(seed=1)
    error = equivariance_error(network, test_images, GROUP, layers=["3"])["3"][1]
    steps = fine_tune_basis(network, smooth_images(), GROUP, FineTuning(steps=25, batch_size=6, learning_rate=1e-2))
    assert len(steps) == 25
    assert equivariance_error(network, test_images, GROUP, layers=["3"])["3"][1] < 0.8 * error
    changed = {name for name, value in network.state_dict().items() if not torch.equal(value, before[name])}
    assert changed
    assert all("basis" in name for name in changed)
    assert torch.equal(network[0].coefficients.grad, torch.ones_like(network[0].coefficients))
    assert network[3].coefficients.grad is None
    assert all(p.grad is None for p in network[0].basis.parameters())
    assert network.training
    assert not network[2].training


def test_unitarity_is_kept_in_float32():
    network = tiny_network(LearnedBasis.from_basis(unitary(GROUP, 3), orthogonal=True)).float()
    fine_tune_basis(network, smooth_images().float(), GROUP, FineTuning(steps=15, batch_size=8, learning_rate=1e-2))
    assert unitarity_error(network[0].basis).max() < 1e-6


def test_runs_repeat():
    first, second = (tiny_network(LearnedBasis(GROUP, 3)) for _ in range(2))
    for network in (first, second):
        fine_tune_basis(network, smooth_images(), GROUP, FineTuning(steps=3, batch_size=8))
        torch.randn(3)
    assert torch.equal(first[0].basis(), second[0].basis())


def test_shared_basis_gives_the_same_network_that_trains():
    network = tiny_network(BilinearBasis(GROUP, 3))
    network.eval()
    shared = share_learned_basis(network)
    x = smooth_images()[:2]
    torch.testing.assert_close(shared(x), network(x), rtol=0, atol=1e-12)
    assert shared[0].basis is shared[3].basis
    assert isinstance(shared[0].basis, LearnedBasis)
    assert not isinstance(network[0].basis, LearnedBasis)
    shared(x).sum().backward()
    assert shared[0].basis.atoms.grad.abs().max() > 0


def test_different_bases_stay_apart():
    network = nn.Sequential(LiftingConv2d(1, 2, ExactBasis(Cyclic(4), 3)), GroupConv2d(2, 2, ExactBasis(Cyclic(4), 1)))
    shared = share_learned_basis(network, orthogonal=True)
    assert shared[0].basis is not shared[1].basis


def test_loss_that_is_no_number_names_the_step():
    network = tiny_network(LearnedBasis(GROUP, 3))
    with pytest.raises(FloatingPointError, match=r"at step 2 of 5\. Lower the learning rate \(1e\+200\)"):
        fine_tune_basis(network, smooth_images(), GROUP, FineTuning(steps=5, learning_rate=1e200))


@pytest.mark.parametrize("value", [0.0, torch.nan])
def test_the_learning_rate_is_not_to_blame_before_the_first_step(value):
    network = tiny_network(LearnedBasis(GROUP, 3))
    torch.nn.init.constant_(network[3].coefficients, value)
    with pytest.raises(FloatingPointError, match=r"at step 1 of 5\. The network's last feature map .* weights"):
        fine_tune_basis(network, smooth_images(), GROUP, FineTuning(steps=5))


def test_refuses_images_it_cannot_learn_from():
    network = tiny_network(LearnedBasis(GROUP, 3))
    images = smooth_images().clone()
    images[3, 0, 5, 5] = torch.nan
    with pytest.raises(ValueError, match="fine_tune_basis expects finite images, got 1 NaN or infinite values"):
        fine_tune_basis(network, images, GROUP, FineTuning(steps=5))
    with pytest.raises(ValueError, match=r"expects one image or more, got images of shape \(0, 1, 24, 24\)"):
        fine_tune_basis(network, images[:0], GROUP, FineTuning(steps=5))


def test_refuses_networks_without_a_learned_basis_or_feature_map():
    with pytest.raises(ValueError, match="share_learned_basis"):
        fine_tune_basis(tiny_network(BilinearBasis(GROUP, 3)), smooth_images(), GROUP)
    with pytest.raises(ValueError, match="got C4 for bases on C8"):
        fine_tune_basis(tiny_network(LearnedBasis(GROUP, 3)), smooth_images(), Cyclic(4))
    refuses(ValueError, "lifting or group convolution, got none", lambda: share_learned_basis(nn.Linear(1, 1)))
    bare = nn.ModuleDict({"basis": LearnedBasis(GROUP, 3)})
    bare.forward = lambda x: x
    refuses(ValueError, "no layer put one out", lambda: fine_tune_basis(bare, smooth_images(), GROUP))
