import copy
import io

import pytest
import torch

from orbitconv.bases import ExactBasis, FixedBasis, HarmonicBasis, LearnedBasis, OvercompleteBasis
from orbitconv.groups import Cyclic, Dihedral
from orbitconv.metrics import unitarity_error
from orbitconv.nn import GroupConv2d, LiftingConv2d
from raising import refuses
from references import turn, unitary

STARTS = ["turned", "interpolated", "random"]
GROUPS = [Cyclic(8), Cyclic(5), Dihedral(4), Dihedral(6)]


def gram_error(atoms):
    flat = atoms.detach().double().flatten(2)
    gram = flat @ flat.mT if flat.shape[1] <= flat.shape[2] else flat.mT @ flat
    return (gram - torch.eye(gram.shape[-1], dtype=torch.float64)).norm(dim=(1, 2)).max() / gram.shape[-1] ** 0.5


@pytest.mark.parametrize("num_atoms", [1, 4, 9, 12])
@pytest.mark.parametrize("start", STARTS)
@pytest.mark.parametrize("group", GROUPS, ids=str)
def test_every_start_is_orthonormal_at_every_element(group, start, num_atoms):
    basis = LearnedBasis(group, 3, num_atoms, start=start)
    assert basis().shape == (group.order, num_atoms, 3, 3)
    assert basis.num_atoms == num_atoms
    assert basis.is_complete == (num_atoms >= 9)
    assert gram_error(basis()) < 1e-6


def test_start_depends_on_the_seed_alone():
    first = LearnedBasis(Cyclic(8), 3, seed=3)()
    torch.randn(7)
    assert torch.equal(LearnedBasis(Cyclic(8), 3, seed=3)(), first)
    assert not torch.equal(LearnedBasis(Cyclic(8), 3, seed=4)(), first)


@pytest.mark.parametrize("orthogonal", [False, True])
def test_gradient_reaches_the_atoms_of_every_element(orthogonal):
    basis = LearnedBasis(Cyclic(8), 3, 6, orthogonal=orthogonal)
    basis().pow(3).sum().backward()
    (parameter,) = basis.parameters()
    assert parameter.grad is not None
    assert (parameter.grad.flatten(1).abs().amax(1) > 1e-3).all()


def test_layers_share_it():
    basis = LearnedBasis(Cyclic(4), 3)
    network = torch.nn.Sequential(LiftingConv2d(1, 2, basis), GroupConv2d(2, 2, basis))
    assert network[0].basis is network[1].basis is basis
    assert sum(p is basis.atoms for p in network.parameters()) == 1
    copied = copy.deepcopy(network)
    assert copied[0].basis is copied[1].basis is not basis


@pytest.mark.parametrize("group", GROUPS, ids=str)
@pytest.mark.parametrize("orthogonal", [False, True])
def test_average_makes_exact_moves_exact(group, orthogonal):
    basis = LearnedBasis(group, 3, 5, start="random", orthogonal=orthogonal).double()
    before = basis().detach().clone()
    averaged = basis.average()
    atoms, n = averaged().detach(), group.num_rotations
    quarters = [(k * n // 4, k) for k in range(4) if k * n % 4 == 0]
    atol = 1e-14 if orthogonal else 0  # the parametrization multiplies matrices
    for element, k in quarters:
        for g in range(group.order):
            torch.testing.assert_close(atoms[group.product[element, g]], turn(atoms[g], k), rtol=0, atol=atol)
    if group.order > n:
        for g in range(group.order):
            torch.testing.assert_close(atoms[group.product[n, g]], atoms[g].flip(-1), rtol=0, atol=atol)
    assert torch.equal(basis(), before)
    assert averaged.orthogonal == orthogonal


def test_average_is_the_mean_of_the_copies_turned_back():
    basis = LearnedBasis(Cyclic(8), 3, start="random").double()
    atoms = basis().detach()
    expected = torch.stack([turn(atoms[2 * k + 1], -k) for k in range(4)]).mean(0)
    torch.testing.assert_close(basis.average()()[1], expected, rtol=0, atol=1e-15)


@pytest.mark.parametrize("orthogonal", [False, True])
def test_frozen_basis_has_the_present_atoms_and_no_parameters(orthogonal):
    basis = LearnedBasis(Cyclic(8), 3, 5, orthogonal=orthogonal)
    frozen = basis.frozen()
    assert isinstance(frozen, FixedBasis)
    assert list(frozen.parameters()) == []
    expected = basis().detach().clone()
    with torch.no_grad():
        next(basis.parameters()).add_(1)
    assert torch.equal(frozen(), expected)
    assert basis.double().frozen()().dtype == torch.float64


@pytest.mark.parametrize(("kernel_size", "num_atoms"), [(3, 9), (3, 4), (3, 12), (5, 25), (5, 11)])
def test_parametrized_atoms_stay_orthonormal_through_training(kernel_size, num_atoms):
    basis = LearnedBasis(Cyclic(8), kernel_size, num_atoms, orthogonal=True)
    start = basis().detach().clone()
    optimizer = torch.optim.Adam(basis.parameters(), 0.1)
    target = torch.randn_like(start)
    for _ in range(30):
        optimizer.zero_grad()
        (basis() - target).square().sum().backward()
        optimizer.step()
    assert (basis() - start).abs().max() > 0.3
    assert gram_error(basis().detach()) < 5e-7


def test_parametrized_unitary_basis_starts_where_it_was():
    closed = unitary(Cyclic(8), 3, 40)
    basis = LearnedBasis.from_basis(closed, orthogonal=True)
    torch.testing.assert_close(basis(), closed(), rtol=0, atol=1e-6)
    assert unitarity_error(basis).max() < 1e-6


@pytest.mark.parametrize("orthogonal", [False, True])
def test_state_dict_round_trip_and_copies(orthogonal):
    basis = LearnedBasis(Cyclic(8), 3, 5, orthogonal=orthogonal, seed=1)
    with torch.no_grad():
        next(basis.parameters()).add_(0.1)
    file = io.BytesIO()
    torch.save(basis.state_dict(), file)
    file.seek(0)
    other = LearnedBasis(Cyclic(8), 3, 5, orthogonal=orthogonal, seed=2)
    other.load_state_dict(torch.load(file, weights_only=True), strict=True)
    assert torch.equal(other(), basis())
    copied = copy.deepcopy(basis)
    assert torch.equal(copied(), basis())
    with torch.no_grad():
        next(copied.parameters()).mul_(0.5)
    assert torch.equal(other(), basis())


def test_overcomplete_basis_is_its_parts_side_by_side():
    parts = [LearnedBasis(Cyclic(8), 3, seed=1), HarmonicBasis(Cyclic(8), 3), LearnedBasis(Cyclic(8), 3, 4, seed=2)]
    basis = OvercompleteBasis(parts)
    assert basis.num_atoms == 9 + 6 + 4
    assert torch.equal(basis(), torch.cat([part() for part in parts], dim=1))
    assert {id(p) for p in basis.parameters()} == {id(parts[0].atoms), id(parts[2].atoms)}
    assert basis.double()().dtype == torch.float64
    assert LiftingConv2d(1, 2, basis).double()(torch.randn(1, 1, 5, 5).double()).shape == (1, 2, 8, 3, 3)


def test_refuses_what_makes_no_sense():
    refuses(ValueError, "one atom for each of 9, got num_atoms=4", LearnedBasis, Cyclic(8), 3, 4, start="pixels")
    refuses(ValueError, "expects start turned, pixels", LearnedBasis, Cyclic(8), 3, start="zeros")
    refuses(ValueError, "square kernel, got 1x3", LearnedBasis.from_basis, ExactBasis(Cyclic(2), (1, 3)))
    refuses(ValueError, "one or more bases", OvercompleteBasis, [])
    with pytest.raises(ValueError, match=r"got C8 with \(3, 3\) beside C4"):
        OvercompleteBasis([LearnedBasis(Cyclic(8), 3), LearnedBasis(Cyclic(4), 3)])
