"""Bases by name: one grammar, one default number of atoms for names and files, and refusals that say what to do."""

import pytest
import torch

from orbitconv import bases
from orbitconv.bases.library import FOLDER
from orbitconv.bases.registry import FAMILIES
from orbitconv.groups import Cyclic, Dihedral
from orbitconv.nn import GroupConv2d, LiftingConv2d
from raising import refuses

C4, C8, D8 = Cyclic(4), Cyclic(8), Dihedral(8)


@pytest.mark.parametrize(("name", "expected"), [
    ("exact-c4-k3", bases.ExactBasis(C4, 3)),
    ("exact-d1-k4", bases.ExactBasis(Dihedral(1), 4)),
    ("nearest-c8-k3", bases.NearestBasis(C8, 3)),
    ("bilinear-c8-k5", bases.BilinearBasis(C8, 5)),
    ("gaussian-c8-k3", bases.GaussianBasis(C8, 3, 0.3)),
    ("harmonic-d8-k5", bases.HarmonicBasis(D8, 5)),
    ("harmonic-c5-k4", bases.HarmonicBasis(Cyclic(5), 4)),
    ("harmonic-c8-k5-d7", bases.HarmonicBasis(C8, 5, 1)),
    ("spectral-c8-k5", bases.read_basis(FOLDER / "spectral-c8-k5.safetensors", 11)),
    ("spectral-c8-k5-d17", bases.read_basis(FOLDER / "spectral-c8-k5.safetensors", 17)),
    ("Spectral-C8-K5-D17", bases.read_basis(FOLDER / "spectral-c8-k5.safetensors", 17)),
    ("unitary-c8-k3", bases.read_basis(FOLDER / "unitary-c8-k3.safetensors")),
    ("unitary-c2-k4", bases.UnitaryBasis(Cyclic(2), 4)),
])  # fmt: skip
def test_a_name_leads_to_the_basis_that_it_says(name, expected):
    basis = bases.load_basis(name)
    assert (basis.group, basis.kernel_size) == (expected.group, expected.kernel_size)
    assert torch.equal(basis.atoms, expected.atoms)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("group", [C8, Cyclic(5), D8])
def test_kernels_of_one_pixel_are_exact_in_every_family(family, group):
    basis = bases.load_basis(f"{family}-{group}-k1")
    assert isinstance(basis, bases.ExactBasis)
    assert torch.equal(basis.atoms, torch.ones(group.order, 1, 1, 1, dtype=torch.float64))


@pytest.mark.parametrize("name", ["spectral-c8-k5-d17", "exact-d4-k3", "harmonic-c16", "unitary-c8-k3"])
def test_the_parts_of_a_name_make_it_again(name):
    parsed = bases.parse_basis_name(name)
    assert str(parsed) == name
    assert bases.parse_basis_name(str(parsed)) == parsed


def test_a_name_without_a_size_builds_every_size():
    name = bases.parse_basis_name("exact-c4")
    assert name == bases.BasisName("exact", C4)
    assert torch.equal(name(3).atoms, bases.ExactBasis(C4, 3).atoms)
    assert torch.equal(bases.parse_basis_name("nearest-c2")((3, 5)).atoms, bases.NearestBasis(Cyclic(2), (3, 5)).atoms)
    refuses(ValueError, "a name with a kernel size, as in exact-c4-k3, got 'exact-c4'", bases.load_basis, "exact-c4")


def test_the_number_of_atoms_in_a_name_is_that_of_its_own_kernel_size():
    name = bases.parse_basis_name("spectral-c8-k5-d17")
    assert [name(size).num_atoms for size in (5, (5, 5), 3, 7)] == [17, 17, 6, 18]


def test_names_and_files_have_one_default_number_of_atoms(tmp_path):
    path = tmp_path / "mine.safetensors"
    bases.save_basis(bases.read_basis(FOLDER / "spectral-c8-k3.safetensors"), path, equivariance_error=0.05)
    assert bases.read_basis(path).num_atoms == 9
    for layer in (LiftingConv2d, GroupConv2d):
        assert [layer(1, 1, name).basis.num_atoms for name in ("spectral-c8-k3", str(path))] == [6, 6]
    assert bases.load_basis(path).metadata["equivariance_error"] == 0.05  # that of these six atoms
    assert "equivariance_error" not in bases.read_basis(path).metadata
    assert [bases.load_basis(name, dimension=9).num_atoms for name in ("spectral-c8-k3", path)] == [9, 9]
    bases.save_basis(
        bases.load_basis(path, dimension=7), path
    )  # a number that was asked for is the default of the new file
    assert bases.load_basis(path).num_atoms == 7


def test_a_dimension_is_given_as_number_or_in_the_name():
    assert (
        bases.load_basis("spectral-c8-k5", dimension=17).num_atoms
        == bases.load_basis("spectral-c8-k5-d17", 17).num_atoms
        == 17
    )
    with pytest.raises(ValueError, match="one dimension, got 17 in the name 'spectral-c8-k5-d17' and 11 beside"):
        bases.load_basis("spectral-c8-k5-d17", dimension=11)


@pytest.mark.parametrize(("name", "words"), [
    ("spektral-c8-k5", "Did you mean 'spectral-c8-k5'\\?"),
    ("bilinar-c8-k9", "Did you mean 'bilinear-c8-k9'\\?"),
    ("zzz-c8-k3", f"Families are {', '.join(FAMILIES)}"),
    ("spectral-e8-k5", "Did you mean .*'spectral-.8-k5'"),
    ("spectral_c8_k5", "Did you mean 'spectral-c8-k5'"),
    ("spectral-c8-5", "Names are FAMILY-GROUP-kSIZE.*Did you mean 'spectral-c8-k5'"),
    ("spectral-c8-k0", "Names are FAMILY-GROUP-kSIZE"),
    ("spectral-c8-d5", "Names are FAMILY-GROUP-kSIZE"),
    ("spectral-c8-k5-d", "Names are FAMILY-GROUP-kSIZE"),
    ("zzz", "Names are FAMILY-GROUP-kSIZE"),
    ("", "Names are FAMILY-GROUP-kSIZE"),
    ("spectral", "Names are FAMILY-GROUP-kSIZE"),
])  # fmt: skip
def test_an_unknown_name_suggests_the_nearest(name, words):
    refuses(ValueError, f"There is no basis named '{name}'.*{words}", bases.load_basis, name)


@pytest.mark.parametrize(("name", "words"), [
    (
        "spectral-c8-k4",
        "No spectral basis of C8 with 4x4 .* --family spectral --group c8 --kernel-size 4 .*harmonic-c8-k4",
    ),
    ("spectral-c5-k3", "which has those of c4, c6, c8, c12, c16, d4, d6, d8 with kernels of 3, 5 and 7 pixels"),
    ("unitary-c8-k9", "No unitary basis of C8 with 9x9"),
    ("exact-c8-k3", "ExactBasis expects a group of quarter turns"),
    ("exact-c4-k3-d5", "has 9 atoms, one for each pixel, got dimension 5"),
    ("spectral-c8-k1-d2", "has 1 atoms"),
    ("harmonic-c8-k3-d5", "have 2, 4, 6 atoms, got dimension 5"),
    ("spectral-c8-k5-d10", "cannot be cut to 10 atoms"),
    ("unitary-c8-k3-d4", "cannot be cut to 4 atoms"),
])  # fmt: skip
def test_a_basis_that_does_not_exist_is_refused_with_what_to_do(name, words):
    refuses(ValueError, words, bases.load_basis, name)


def test_rectangles_and_unknown_families_are_refused():
    refuses(ValueError, "harmonic bases have square kernels, got 3x5", bases.build_basis, "harmonic", C4, (3, 5))
    refuses(ValueError, r"no family of bases named 'exakt'\. Did you mean 'exact'", bases.build_basis, "exakt", C4, 3)


def test_a_file_that_is_not_there_is_refused(tmp_path):
    refuses(FileNotFoundError, "mine", bases.load_basis, tmp_path / "mine.safetensors")
