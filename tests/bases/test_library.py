"""The bases that come with the package."""

import pytest
import torch

from orbitconv.bases import list_bases, load_basis
from orbitconv.bases.library import FOLDER
from orbitconv.data import load
from orbitconv.groups import parse_group
from orbitconv.learn import measure_moments
from orbitconv.metrics import basis_equivariance_error, condition_number, unitarity_error

GROUPS = ("c4", "c6", "c8", "c12", "c16", "d4", "d6", "d8")
NAMES = [f"{family}-{group}-k{k}" for family in ("spectral", "unitary") for group in GROUPS for k in (3, 5, 7)]
HEXAGONAL = [
    f"hexagonal-{family}-{g}-k{k}" for family in ("spectral", "unitary") for g in ("c12", "d12") for k in (3, 5, 7)
]


def test_every_promised_basis_is_there_and_together_they_are_small():
    assert list_bases() == sorted([*NAMES, *HEXAGONAL])
    assert sum(path.stat().st_size for path in FOLDER.iterdir()) < 2_000_000


@pytest.mark.parametrize("name", [*NAMES, *HEXAGONAL])
def test_it_is_of_the_group_and_size_that_its_name_says(name):
    family, group, kernel = name.rsplit("-", 2)
    basis = load_basis(name)
    assert (basis.group, basis.kernel_size) == (parse_group(group), (int(kernel[1:]),) * 2)
    assert basis.metadata["family"] == family


@pytest.mark.parametrize("name", [n for n in NAMES if n.startswith("unitary")])
def test_unitary_ones_are_unitary_and_obey_the_group_law(name):
    basis = load_basis(name)
    assert basis.is_complete
    assert unitarity_error(basis).max() <= 1e-12
    maps = basis(torch.float64).flatten(2).mT
    product = torch.from_numpy(basis.group.product.copy())
    torch.testing.assert_close(maps[:, None] @ maps, maps[product], rtol=0, atol=1e-11)


@pytest.mark.parametrize("name", [n for n in NAMES if n.startswith("spectral")])
def test_spectral_ones_are_well_conditioned_at_their_recommended_size(name):
    basis = load_basis(name)
    # As near to the circular harmonics of the size as orbits of one and two atoms allow.
    assert abs(basis.num_atoms - {"k3": 6, "k5": 11, "k7": 18}[name[-2:]]) <= (1 if "4-" in name else 0)
    assert condition_number(basis).max() <= 1.7


@pytest.mark.parametrize("name", ["spectral-c8-k3", "unitary-d6-k5", "spectral-c16-k3"])
def test_the_recorded_error_is_measured_again(name, data_dir):
    basis = load_basis(name)
    test = load("cifar10", "test", data_dir=data_dir).take(2000).grey()
    error = basis_equivariance_error(basis, measure_moments(test, basis.group, basis.kernel_size)).max()
    assert float(error) == pytest.approx(basis.metadata["equivariance_error"], rel=1e-3)
