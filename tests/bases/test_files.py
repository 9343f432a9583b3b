"""Bases as files: the same bits back, and no damaged file taken for a whole one."""

import pytest
import torch

from orbitconv._support.saved import read_saved, write_saved
from orbitconv.bases import BilinearBasis, ExactBasis, HarmonicBasis, UnitaryBasis, read_basis, save_basis
from orbitconv.bases.files import TabulatedBasis
from orbitconv.groups import Cyclic, Dihedral
from orbitconv.learn import measure_moments
from raising import refuses

BASES = [
    ExactBasis(Cyclic(4), (3, 5)),
    BilinearBasis(Cyclic(8), 3),
    HarmonicBasis(Dihedral(6), 5),
    HarmonicBasis(Cyclic(5), 4),
    TabulatedBasis(Cyclic(8), (2, 2), torch.randn(8, 3, 2, 2, generator=torch.Generator().manual_seed(0))),
]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "basis.safetensors"


@pytest.mark.parametrize("basis", BASES, ids=str)
def test_a_basis_reloads_to_the_same_bits(basis, path):
    save_basis(basis, path)
    again = read_basis(path)
    assert torch.equal(again.atoms, basis.atoms)
    assert (again.group, again.kernel_size) == (basis.group, basis.kernel_size)


def test_a_learned_basis_reloads_to_the_same_bits(path, smooth):
    basis = UnitaryBasis(Dihedral(8), 3, measure_moments(smooth, Dihedral(8), 3))
    save_basis(basis, path, data="noise", images=40)
    again = read_basis(path)
    assert torch.equal(again.atoms, basis.atoms)
    assert {k: again.metadata[k] for k in ("family", "data", "images")} == {
        "family": "unitary", "data": "noise", "images": 40,
    }  # fmt: skip


def test_only_what_exact_moves_cannot_supply_is_stored(path):
    save_basis(HarmonicBasis(Dihedral(8), 5), path)
    assert read_saved(path, "basis").tensors["atoms"].shape == (2, 11, 5, 5)


def test_a_file_is_cut_between_atoms_that_turn_together_only(path):
    basis = HarmonicBasis(Cyclic(8), 3)
    save_basis(basis, path, frequencies=[0, 0, 1, 1, 2, 2])
    cut = read_basis(path, dimension=4)
    assert torch.equal(cut.atoms, basis.atoms[:, :4])
    assert cut.metadata["frequencies"] == [0, 0, 1, 1]
    refuses(ValueError, "1, 2, 4, 6", read_basis, path, dimension=5)


def forge(path, described, atoms):
    """A file with a right checksum that says what no basis is."""
    save_basis(HarmonicBasis(Cyclic(8), 3), path)
    saved = read_saved(path, "basis")
    write_saved(path, "basis", {"atoms": saved.tensors["atoms"], **atoms}, saved.description | described)


@pytest.mark.parametrize(("described", "atoms"), [
    ({"group": "C6"}, {}),
    ({"group": "E8"}, {}),
    ({"group": None}, {}),
    ({"group": "C100000000"}, {}),
    ({"group": "C4"}, {}),
    ({"elements": [0, 2]}, {}),
    ({"elements": "01"}, {}),
    ({"kernel_size": [9, 1]}, {}),
    ({"kernel_size": 3}, {}),
    ({"dimension": 10**9}, {}),
    ({"errors": [0.0]}, {}),
    ({"frequencies": None}, {}),
    ({}, {"atoms": torch.zeros(2, 6, 3, 3)}),
    ({}, {"atoms": torch.zeros(2, 6, 9, dtype=torch.float64)}),
    ({}, {"more": torch.zeros(1)}),
    ({"dimension": 0}, {"atoms": torch.zeros(2, 0, 3, 3, dtype=torch.float64)}),
])  # fmt: skip
def test_a_description_that_does_not_fit_the_atoms_is_refused_at_once(path, described, atoms):
    forge(path, described, atoms)
    refuses(ValueError, r"basis\.safetensors is damaged: ", read_basis, path)


def test_files_of_another_kind_are_refused(path):
    write_saved(path, "action", {"matrix": torch.eye(2)}, {})
    refuses(ValueError, "holds a saved action, expected a saved basis", read_basis, path)
