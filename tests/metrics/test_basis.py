import math

import numpy as np
import pytest
import scipy.linalg
import scipy.signal
import torch

from orbitconv.bases import BilinearBasis, ExactBasis, FixedBasis, GaussianBasis, HarmonicBasis
from orbitconv.groups import Cyclic, Dihedral
from orbitconv.learn import measure_moments
from orbitconv.metrics import (
    basis_equivariance_error,
    condition_number,
    group_law_error,
    normalize_atoms,
    unitarity_error,
)
from raising import refuses
from references import FAMILIES, INDEPENDENT, rotate, smooth_images, smooth_moments, unitary

C8 = Cyclic(8)


def normalized(basis) -> np.ndarray:
    """G^(-1/2) B_g with the mean Gram matrix G, for independent atoms."""
    flat = basis(torch.float64).flatten(2).numpy()
    gram = sum(b @ b.T for b in flat) / len(flat)
    mixing = np.real(scipy.linalg.inv(scipy.linalg.sqrtm(gram)))
    return np.stack([mixing @ b for b in flat])


def mixed(basis, seed: int = 0) -> FixedBasis:
    """The same span in other atoms."""
    mixing = torch.from_numpy(np.random.default_rng(seed).normal(size=(basis.num_atoms,) * 2))
    atoms = torch.einsum("de,gepq->gdpq", mixing, basis(torch.float64))
    return FixedBasis(basis.group, basis.kernel_size, atoms)


@pytest.mark.parametrize("name", INDEPENDENT)
def test_unitarity_error_is_the_distance_of_the_gram_matrix_from_one(name):
    basis = FAMILIES[name]()
    expected = [np.linalg.norm(a @ a.T - np.eye(len(a))) / math.sqrt(len(a)) for a in normalized(basis)]
    np.testing.assert_allclose(unitarity_error(basis), expected, rtol=0, atol=1e-9)


@pytest.mark.parametrize("name", ["exact-D4-2", "exact-C2-3x5", "unitary-C8-3", "unitary-D8-3", "unitary-C8-2"])
def test_unitary_families_have_no_unitarity_error(name):
    assert unitarity_error(FAMILIES[name]()).max() < 1e-12


@pytest.mark.parametrize("family", [BilinearBasis, GaussianBasis, HarmonicBasis])
def test_other_families_are_not_unitary_at_45_degrees(family):
    assert unitarity_error(family(C8, 3))[1] > 0.05


def test_group_law_error_is_that_of_the_maps_between_filters():
    basis = GaussianBasis(Cyclic(6), 3)
    flat = basis(torch.float64).flatten(2).numpy()
    errors = group_law_error(basis).numpy()
    maps = [np.linalg.lstsq(flat[0], b, rcond=None)[0].T for b in flat]  # psi_g = M_g psi_0, filters as columns
    for g in range(6):
        for h in range(6):
            expected = np.linalg.norm(maps[g] @ maps[h] - maps[(g + h) % 6]) / 3
            assert errors[g, h] == pytest.approx(expected, abs=1e-12)
    assert errors.max() > 0.1


@pytest.mark.parametrize("name", ["exact-C4-3", "exact-D4-2", "unitary-C8-3", "unitary-D8-3", "unitary-C5-3"])
def test_representations_obey_the_group_law(name):
    assert group_law_error(FAMILIES[name]()).max() < 1e-12


def test_group_law_of_the_dihedral_group_needs_its_own_product():
    basis = unitary(Dihedral(8), 3)
    relabelled = FixedBasis(Cyclic(16), 3, basis(torch.float64))
    assert group_law_error(relabelled).max() > 0.1


@pytest.mark.parametrize("name", ["harmonic-C8-3", "unitary-C8-2"])
def test_group_law_is_undefined_for_incomplete_bases(name):
    refuses(ValueError, "group_law_error expects a complete basis", lambda: group_law_error(FAMILIES[name]()))


def test_group_law_is_undefined_for_dependent_atoms():
    atoms = ExactBasis(Cyclic(4), 2)(torch.float64).clone()
    atoms[:, 3] = atoms[:, 0] + atoms[:, 1]
    refuses(ValueError, "4 independent atoms for 4 pixels", lambda: group_law_error(FixedBasis(Cyclic(4), 2, atoms)))


def test_equivariance_error_is_that_of_filtering_real_images():
    # Random unit filters of the span, one image after the other: no moments, no formula of theirs.
    size, margin, basis = 14, 40, HarmonicBasis(C8, 3)
    images = smooth_images(3, size, seed=3)
    moments = measure_moments(images, C8, 3)
    atoms = normalized(basis)
    points = np.indices((size - 2, size - 2)) - (size - 3) / 2
    inside = np.hypot(*points) + math.sqrt(2) <= (size - 1) / 2 + 1e-9
    window = slice(margin, margin + size - 2)
    for g in (1, 2, 5):
        difference, energy = 0.0, 0.0
        for image in images[:, 0].numpy():
            f = np.pad((image - image.mean()) / image.std(), margin, mode="reflect")
            turned = rotate(f, math.pi / 4 * g, order=3, mode="mirror")
            for d in range(basis.num_atoms):  # the mean over random filters is the mean over orthonormal atoms
                after = scipy.signal.correlate2d(turned, atoms[g, d].reshape(3, 3), mode="valid")
                before = scipy.signal.correlate2d(f, atoms[0, d].reshape(3, 3), mode="valid")
                before = rotate(before, math.pi / 4 * g, order=3, mode="mirror")
                difference += (((after - before)[window, window] * inside) ** 2).sum()
                energy += ((before[window, window] * inside) ** 2).sum()
        expected = math.sqrt(difference / energy)
        assert float(basis_equivariance_error(basis, moments)[g]) == pytest.approx(expected, abs=1e-7)


@pytest.mark.parametrize("name", ["harmonic-C8-3", "unitary-C8-3", "gaussian-C8-3", "spectral-C8-3"])
def test_mixing_atoms_changes_no_error(name):
    basis = FAMILIES[name]()
    other, moments = mixed(basis), smooth_moments(C8, 3)
    torch.testing.assert_close(unitarity_error(other), unitarity_error(basis), rtol=0, atol=1e-9)
    torch.testing.assert_close(
        basis_equivariance_error(other, moments)[1::2],
        basis_equivariance_error(basis, moments)[1::2],
        rtol=1e-8,
        atol=0,
    )
    if basis.is_complete:
        torch.testing.assert_close(group_law_error(other), group_law_error(basis), rtol=0, atol=1e-9)


def test_zero_mean_leaves_out_brightness():
    basis, moments = unitary(C8, 3), smooth_moments(C8, 3)
    eight = torch.from_numpy(scipy.linalg.null_space(np.ones((1, 9))).T)  # orthonormal filters that sum to zero
    atoms = torch.einsum("de,gepq->gdpq", eight, basis(torch.float64))
    expected = basis_equivariance_error(FixedBasis(C8, 3, atoms), moments)
    found = basis_equivariance_error(basis, moments, zero_mean=True)
    torch.testing.assert_close(found[1::2], expected[1::2], rtol=1e-9, atol=0)
    assert found[1] > 1.05 * basis_equivariance_error(basis, moments)[1]


@pytest.mark.parametrize("name", INDEPENDENT)
def test_condition_number_is_that_of_the_normalized_atoms(name):
    basis = FAMILIES[name]()
    singular = [scipy.linalg.svdvals(a) for a in normalized(basis)]
    np.testing.assert_allclose(condition_number(basis), [s[0] / s[-1] for s in singular], rtol=1e-6)


def test_directions_without_energy_are_dropped_and_counted():
    basis = HarmonicBasis(C8, 3)
    atoms = basis(torch.float64)
    repeated = FixedBasis(C8, 3, torch.cat([atoms, atoms[:, :2] + atoms[:, 2:4]], dim=1))
    assert normalize_atoms(basis).rank == 6
    assert normalize_atoms(repeated).rank == 6
    torch.testing.assert_close(unitarity_error(repeated), unitarity_error(basis), rtol=0, atol=1e-9)


def test_normalized_atoms_are_orthonormal_on_average():
    atoms = normalize_atoms(GaussianBasis(C8, 3)).atoms
    gram = torch.einsum("gdp,gep->de", atoms, atoms) / 8
    torch.testing.assert_close(gram, torch.eye(9, dtype=torch.float64), rtol=0, atol=1e-12)


@pytest.mark.parametrize("basis", [HarmonicBasis(Cyclic(4), 3), HarmonicBasis(C8, 5)], ids=repr)
def test_refuses_moments_of_another_group_or_window(basis):
    with pytest.raises(ValueError, match=rf"expects moments for {basis.group} and .*, got moments for C8"):
        basis_equivariance_error(basis, smooth_moments(C8, 3))
