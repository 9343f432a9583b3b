"""What every family must do, in one set of checks."""

import copy
import io
import pickle

import numpy as np
import pytest
import torch

from orbitconv.bases import FilterBasis, FixedBasis
from orbitconv.groups import Cyclic
from references import FAMILIES, INDEPENDENT, REPRESENTATIONS

NUM_ATOMS = {
    "exact-C4-3": 9, "exact-C1-4": 16, "exact-D4-2": 4, "exact-C2-3x5": 15, "exact-C4-3x5": 15, "nearest-C8-3": 9,
    "nearest-C12-4": 16, "bilinear-C8-3": 9, "bilinear-D8-4": 16, "bilinear-C6-3x5": 15, "bilinear-C8-3-grid": 9,
    "gaussian-C8-3": 9, "gaussian-D4-2": 4, "harmonic-C8-3": 6, "harmonic-C16-5": 11, "harmonic-D6-4": 8,
    "unitary-C8-3": 9, "unitary-C8-2": 3, "unitary-C5-3": 9, "unitary-C12-4": 16, "unitary-D8-3": 9, "unitary-D4-5": 25,
    "spectral-C8-3": 6, "spectral-D8-5": 11, "spectral-C6-4": 8,
}  # fmt: skip


@pytest.fixture(params=FAMILIES)
def name(request) -> str:
    return request.param


@pytest.fixture
def basis(name) -> FilterBasis:
    return FAMILIES[name]()


def test_shape_is_group_atoms_window(basis, name):
    assert basis().shape == (basis.group.order, NUM_ATOMS[name], *basis.kernel_size)
    assert basis.num_atoms == NUM_ATOMS[name]
    assert basis.is_complete == (NUM_ATOMS[name] == np.prod(basis.kernel_size))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_gives_the_dtype_asked_for_rounded_once(basis, dtype):
    assert torch.equal(basis(dtype), basis(torch.float64).to(dtype))


def test_own_dtype_follows_moves_and_starts_at_the_default(basis, name):
    assert basis().dtype == torch.float32
    assert basis.to(torch.bfloat16)().dtype == torch.bfloat16
    torch.set_default_dtype(torch.float64)
    try:
        assert copy.deepcopy(basis)().dtype == torch.bfloat16
        if not name.startswith("unitary"):  # those are copies of one made before
            assert FAMILIES[name]()().dtype == torch.float64
    finally:
        torch.set_default_dtype(torch.float32)


def test_double_after_half_is_exact_again(basis):
    before = basis(torch.float64).clone()
    assert basis.half()().dtype == torch.float16
    assert torch.equal(basis.double()(), before)


def test_atoms_are_finite_and_no_atom_vanishes(basis):
    atoms = basis(torch.float64)
    assert torch.isfinite(atoms).all()
    assert (atoms[0].flatten(1).norm(dim=1) > 0.1).all()


@pytest.mark.parametrize("independent", INDEPENDENT)
def test_atoms_stay_linearly_independent_as_they_turn(independent):
    basis = FAMILIES[independent]()
    ranks = torch.linalg.matrix_rank(basis(torch.float64).flatten(2), rtol=1e-3)
    assert (ranks == basis.num_atoms).all()


def test_quarter_and_half_turns_are_exact(basis):
    n, atoms = basis.group.num_rotations, basis(torch.float64).numpy()
    if basis.kernel_size[0] == basis.kernel_size[1]:
        turns = [(k * n // 4, k) for k in range(4) if (k * n) % 4 == 0]
    else:
        turns = [(k * n // 2, 2 * k) for k in range(2) if (k * n) % 2 == 0]
    for element, quarters in turns:
        for g in range(basis.group.order):
            turned = np.rot90(atoms[g], quarters, (-2, -1))
            np.testing.assert_array_equal(atoms[basis.group.product[element, g]], turned)


@pytest.mark.parametrize("dihedral", [n for n in FAMILIES if "-D" in n])
def test_mirrors_are_exact(dihedral):
    basis = FAMILIES[dihedral]()
    atoms, mirror = basis(torch.float64), basis.group.num_rotations
    for g in range(basis.group.order):
        assert torch.equal(atoms[basis.group.product[mirror, g]], atoms[g].flip(-1))


@pytest.mark.parametrize("representation", REPRESENTATIONS)
def test_filters_transform_by_a_representation(representation):
    # Turning the filter of coefficients w by h gives the filter of coefficients R_h^T w: with L_g psi = sum w e[g],
    # transforming by h first and g then must be transforming by g h.
    basis = FAMILIES[representation]()
    atoms = basis(torch.float64).flatten(2).numpy()
    solved = [np.linalg.lstsq(atoms[0].T, atoms[g].T, rcond=None)[0].T for g in range(basis.group.order)]
    for g in range(basis.group.order):
        np.testing.assert_allclose(solved[g] @ atoms[0], atoms[g], rtol=0, atol=1e-12)  # the span is kept
        for h in range(basis.group.order):
            np.testing.assert_allclose(solved[h] @ atoms[g], atoms[basis.group.product[g, h]], rtol=0, atol=1e-12)


def test_state_dict_round_trip(basis):
    expected = basis(torch.float64).clone()
    file = io.BytesIO()
    torch.save(basis.state_dict(), file)
    file.seek(0)
    with torch.no_grad():
        basis.atoms.zero_()
    basis.load_state_dict(torch.load(file, weights_only=True), strict=True)
    assert torch.equal(basis(torch.float64), expected)


@pytest.mark.parametrize("again", [copy.deepcopy, lambda b: pickle.loads(pickle.dumps(b))], ids=["deepcopy", "pickle"])
def test_copies_are_equal_and_share_nothing(basis, again):
    other = again(basis)
    assert (type(other), other.group, other.kernel_size) == (type(basis), basis.group, basis.kernel_size)
    assert torch.equal(other(torch.float64), basis(torch.float64))
    with torch.no_grad():
        other.atoms.zero_()
    assert basis.atoms.any()


def test_is_nan_between_meta_device_and_state_dict(basis):
    state, expected = copy.deepcopy(basis.state_dict()), basis(torch.float64).clone()
    assert basis.to("meta")().is_meta
    assert basis().shape == expected.shape
    basis.to_empty(device="cpu")
    assert basis(torch.float64).isnan().all()
    basis.load_state_dict(state)
    assert torch.equal(basis(torch.float64), expected)


def test_refuses_atoms_of_another_group_or_window():
    for shape in [(4, 9, 3), (3, 9, 3, 3), (4, 9, 3, 5)]:
        with pytest.raises(ValueError, match=r"FixedBasis expects atoms of shape \(4, num_atoms, 3, 3\) for C4"):
            FixedBasis(Cyclic(4), 3, torch.zeros(shape))
