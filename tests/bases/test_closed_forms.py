"""The two closed-form bases over groups, orders and sizes of kernels; their files; what they refuse."""

import numpy as np
import pytest
import torch

from orbitconv import bases
from orbitconv.bases.library import FOLDER
from orbitconv.data import load
from orbitconv.groups import Cyclic, Dihedral
from orbitconv.learn import measure_moments
from orbitconv.metrics import condition_number
from raising import refuses
from references import smooth_images, smooth_moments

C8 = Cyclic(8)
# Every order once, with sides that go round; large ones where quarter turns save work.
CASES = [(Cyclic(n), [2, 5, 4, 3][n % 4] if n % 4 else [4, 7, 5, 8, 6, 4][n // 4 % 6]) for n in range(1, 25)]
CASES += [(Dihedral(n), [3, 4, 5, 2][n % 4] if n % 4 else [6, 9, 7][n // 4 % 3]) for n in range(1, 13)]
CASES += [(C8, side) for side in range(2, 10)] + [(Cyclic(5), 4), (Cyclic(3), 5), (Cyclic(6), 6)]
CASES += [(Dihedral(6), 4), (Dihedral(8), 4)]


def check_representation(basis: bases.FixedBasis) -> None:
    """Quarter turns and mirrors of the grid, and a span that the whole group maps to itself by its own law."""
    group, atoms = basis.group, basis(torch.float64).numpy()
    n = group.num_rotations
    for g in range(group.order):
        for quarters in (k for k in range(4) if k * n % 4 == 0):
            turned = atoms[group.product[quarters * n // 4, g]]
            np.testing.assert_array_equal(turned, np.rot90(atoms[g], quarters, (-2, -1)))
        if group.order > n:
            np.testing.assert_array_equal(atoms[group.product[n, g]], atoms[g][..., ::-1])
    flat = atoms.reshape(*atoms.shape[:2], -1)
    maps = np.stack([np.linalg.lstsq(flat[0].T, turned.T, rcond=None)[0].T for turned in flat])
    for h in range(group.order):  # h = 0: the span is kept
        np.testing.assert_allclose(maps @ flat[h], flat[group.product[h]], rtol=0, atol=1e-12)


@pytest.fixture(params=CASES, ids=lambda case: f"{case[0]}-{case[1]}")
def case(request):
    return *request.param, smooth_moments(*request.param, 15)


def test_spectral_basis_is_a_representation_of_independent_atoms(case):
    group, side, moments = case
    dimensions = bases.available_dimensions(group, side, moments)
    assert dimensions[-1] <= side**2
    for dimension in (dimensions[len(dimensions) // 2], dimensions[-1]):
        basis = bases.SpectralBasis(group, side, moments, dimension=dimension)
        assert basis.num_atoms == dimension == len(basis.errors) == len(basis.frequencies)
        check_representation(basis)
        assert condition_number(basis).max() < 100


def test_unitary_basis_is_a_representation_by_orthonormal_atoms(case):
    group, side, moments = case
    basis = bases.UnitaryBasis(group, side, moments)
    assert side**2 - side <= basis.num_atoms <= side**2
    check_representation(basis)
    flat = basis(torch.float64).flatten(2)
    identity = torch.eye(basis.num_atoms, dtype=torch.float64).expand(group.order, -1, -1)
    torch.testing.assert_close(flat @ flat.mT, identity, rtol=0, atol=1e-12)


@pytest.mark.parametrize(("side", "dimensions"), [(3, [6]), (5, [11, 17]), (7, [18, 33])])
@pytest.mark.parametrize("whiten", [False, True])
def test_spectral_bases_of_photographs_are_well_conditioned(data_dir, side, dimensions, whiten):
    photographs = load("cifar10", "train", data_dir=data_dir).take(500).grey()
    moments = measure_moments(photographs, C8, side, whiten=whiten)
    for dimension in dimensions:
        basis = bases.SpectralBasis(C8, side, moments, dimension=dimension)
        assert condition_number(basis).max() <= 1.7
        atoms = basis(torch.float32)
        for g in range(8):
            torch.testing.assert_close(atoms[(g + 2) % 8], torch.rot90(atoms[g], 1, (-2, -1)), rtol=0, atol=1e-6)


@pytest.mark.parametrize("name", [n for n in bases.list_bases() if n.startswith("spectral")])
def test_shipped_spectral_bases_obey_the_group_law(name):
    check_representation(bases.load_basis(name))
    check_representation(bases.read_basis(FOLDER / f"{name}.safetensors"))


@pytest.mark.parametrize("metadata", [{"error": float("nan")}, {"tags": {1, 2}}], ids=["NaN", "set"])
def test_refuses_metadata_that_json_cannot_hold(tmp_path, metadata):
    with pytest.raises(ValueError, match="save_basis expects metadata that JSON can hold, got"):
        bases.save_basis(bases.HarmonicBasis(C8, 3), tmp_path / "basis.safetensors", **metadata)
    assert list(tmp_path.iterdir()) == []


def test_refuses_to_save_atoms_that_are_not_finite(tmp_path):
    empty = bases.HarmonicBasis(C8, 3).to("meta").to_empty(device="cpu")
    words = "save_basis expects finite atoms, got 432 NaN or infinite values in Harmonic"
    refuses(ValueError, words, bases.save_basis, empty, tmp_path / "basis.safetensors")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("family", "owner"), [(bases.SpectralBasis, "A closed-form basis"), (bases.UnitaryBasis, "UnitaryBasis")]
)
def test_refuses_images_that_say_nothing_about_most_directions(family, owner):
    moments = measure_moments(torch.full((40, 1, 24, 24), 0.7), C8, 3, standardize=False)
    words = f"{owner} expects images that excite every direction of a filter, got moments of rank 1 for 9"
    refuses(ValueError, words, family, C8, 3, moments, dimension=6)


def test_refuses_too_few_images_for_the_size_of_the_kernel():
    with pytest.raises(ValueError, match="at least 98 patches to tell 49 pixels apart, got 32 from 2 images"):
        measure_moments(smooth_images(2, 14), C8, 7)


@pytest.mark.parametrize(("order", "side", "max_error"), [(5, 2, 0.0), (5, 2, 1e-9), (6, 4, 1e-6)])
def test_refuses_a_budget_that_no_orbit_meets(order, side, max_error):
    group, best = Cyclic(order), f"the best of a {side}x{side} kernel under C{order}"
    words = f"no orbit of relative error .* or less; {best}"
    refuses(ValueError, words, bases.SpectralBasis, group, side, smooth_moments(group, side), max_error=max_error)
