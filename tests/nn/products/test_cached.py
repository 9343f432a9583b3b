"""Filters expanded once for several passes: same numbers, never stale, less work."""

import copy

import pytest
import torch
import torch.utils.checkpoint
from torch import Tensor, nn

from orbitconv.bases import ExactBasis, LearnedBasis
from orbitconv.groups import Cyclic, Dihedral
from orbitconv.nn import BasisConv2d, GroupConv2d, GroupPool, LiftingConv2d, keep_filters
from raising import refuses
from references import images, unitary


def net(basis=None) -> nn.Sequential:
    basis = ExactBasis(Dihedral(4), 3) if basis is None else basis
    return nn.Sequential(
        LiftingConv2d(1, 2, basis, padding=1), nn.ReLU(), GroupConv2d(2, 3, basis, padding=1), GroupPool()
    ).double()


def gradients(network: nn.Module) -> list[Tensor]:
    return [p.grad for p in network.parameters()]


@pytest.fixture
def expansions(monkeypatch):
    """Counts how often filters are expanded."""
    calls = []
    for kind in (LiftingConv2d, GroupConv2d):
        usual = kind._expand

        def counted(self, *args, usual=usual, **kwargs):
            calls.append(self)
            return usual(self, *args, **kwargs)

        monkeypatch.setattr(kind, "_expand", counted)
    return calls


@pytest.mark.parametrize("basis", [None, LearnedBasis(Cyclic(4), 3)], ids=["fixed", "learned"])
def test_summed_gradients_are_the_same_from_one_expansion(basis, expansions):
    network = net(basis)
    other = copy.deepcopy(network)
    batches = images(6, dtype=torch.float64).split(2)
    for x in batches:
        other(x).square().sum().backward()
    expansions.clear()
    with keep_filters(network):
        for x in batches:
            network(x).square().sum().backward()
        assert network[0].coefficients.grad is None
    assert len(expansions) == 2
    torch.testing.assert_close(list(gradients(network)), list(gradients(other)), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_inference_expands_once(mode, expansions):
    network, x = net(), images(2, dtype=torch.float64)
    expected = network(x)
    expansions.clear()
    with mode(), keep_filters(network):
        found = [network(x) for _ in range(3)]
    assert len(expansions) == 2
    for y in found:
        torch.testing.assert_close(y, expected, rtol=0, atol=0)


def test_frozen_layers_expand_once_and_let_gradients_through(expansions):
    network = net().requires_grad_(requires_grad=False)
    x = images(2, dtype=torch.float64).requires_grad_()
    expected = torch.autograd.grad(network(x).square().sum(), x)[0]
    expansions.clear()
    with keep_filters(network):
        with torch.inference_mode():
            network(x)
        found = [torch.autograd.grad(network(x).square().sum(), x)[0] for _ in range(2)]
    assert len(expansions) == 2
    assert all(torch.equal(gradient, expected) for gradient in found)


@pytest.mark.parametrize("edit", ["in place", "replaced", "loaded", "basis"])
def test_nothing_is_stale_inside_the_block(edit):
    network, x = net(unitary(Cyclic(4), 3)), images(2, dtype=torch.float64)
    layer = network[2]
    state = {name: value if "atoms" in name else 3 * value for name, value in network.state_dict().items()}
    with torch.no_grad(), keep_filters(network):
        before = network(x)
        match edit:
            case "in place":
                layer.coefficients.mul_(2)
            case "replaced":
                layer.coefficients = nn.Parameter(2 * layer.coefficients)
            case "loaded":
                network.load_state_dict(state)
            case _:
                layer.basis.atoms.mul_(2)
        found = network(x)
    assert not torch.equal(found, before)
    assert torch.equal(found, network(x))


def test_refuses_a_step_while_gradients_wait():
    network, x = net(), images(2, dtype=torch.float64)
    with keep_filters(network):
        network(x).sum().backward()
        with torch.no_grad():
            network[2].coefficients.mul_(2)  # as an optimizer does
        refuses(RuntimeError, "Take the optimizer's step after the block", network, x)


@pytest.mark.parametrize("basis", [False, True])
def test_refuses_edits_that_nothing_can_see(basis):
    network, x = net(), images(2, dtype=torch.float64)
    block = keep_filters(network)
    with torch.no_grad():
        block.__enter__()
        network(x)
        (network[2].basis.atoms if basis else network[2].coefficients).data.mul_(2)
        refuses(RuntimeError, r"GroupConv2d changed through \.data", block.__exit__, None, None, None)


def test_a_backward_pass_after_the_block_is_refused():
    network, x = net(), images(2, dtype=torch.float64)
    with keep_filters(network):
        loss = network(x).sum()
    refuses(RuntimeError, r"Call backward\(\) inside the block", loss.backward)


def test_gradients_reach_weights_that_were_replaced_in_between():
    """As for a teacher that takes the place of its student for one pass."""
    network, x = net(), images(2, dtype=torch.float64)
    layer = network[2]
    student, teacher = layer.coefficients, nn.Parameter(2 * layer.coefficients.detach())
    network(x).sum().backward()
    expected = student.grad.clone()
    student.grad = None
    with keep_filters(network):
        loss = network(x).sum()
        layer.coefficients = teacher
        with torch.no_grad():
            network(x)
        layer.coefficients = student
        loss.backward()
    torch.testing.assert_close(student.grad, expected, rtol=1e-12, atol=0)


def test_checkpointed_passes_get_their_gradients():
    network, x = net(), images(2, dtype=torch.float64).requires_grad_()
    network(x).sum().backward()
    expected = [p.grad.clone() for p in network.parameters()]
    network.zero_grad()
    with keep_filters(network):
        torch.utils.checkpoint.checkpoint(network, x, use_reentrant=False).sum().backward()
    torch.testing.assert_close(list(gradients(network)), list(expected), rtol=1e-12, atol=1e-12)


def test_passes_with_and_without_gradient_may_mix():
    network, x = net(), images(2, dtype=torch.float64)
    with keep_filters(network), keep_filters(network[2]):
        with torch.no_grad():
            expected = network(x)
        y = network(x)
        y.sum().backward()
        with torch.no_grad():
            assert torch.equal(network(x), expected)
    assert torch.equal(y, expected)
    assert all(isinstance(m.coefficients.grad, Tensor) for m in network.modules() if isinstance(m, BasisConv2d))


def test_weights_that_are_no_numbers_are_not_taken_for_edited_ones():
    network, x = net(), images(2, dtype=torch.float64)
    with torch.no_grad():
        network[2].coefficients.fill_(torch.nan)
    with torch.no_grad(), keep_filters(network):
        network(x)
