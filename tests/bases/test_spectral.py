import math

import numpy as np
import pytest
import scipy.linalg
import torch

from orbitconv.bases import FixedBasis, HarmonicBasis, SpectralBasis
from orbitconv.bases.orbit_spectrum import solve_orbits
from orbitconv.bases.second_moments import symmetrize
from orbitconv.groups import Cyclic, Dihedral
from orbitconv.metrics import basis_equivariance_error
from references import smooth_moments

C8 = Cyclic(8)


@pytest.mark.parametrize(("group", "side"), [(C8, 3), (Cyclic(5), 3), (Dihedral(8), 3), (Cyclic(6), 4)], ids=str)
def test_orbits_are_those_of_the_whole_quadratic_form(group, side):
    # Without any Fourier transform: the error is a form in the stacked filters of all rotations, (n p) x (n p).
    moments = symmetrize("test", group, side, smooth_moments(group, side))
    n, p = len(moments.cross), side**2
    error, energy = np.zeros((n, p, n, p)), np.zeros((n, p, n, p))
    for h in range(n):  # every filter of the orbit may be the unturned one
        for g in range(n):
            turned = (g + h) % n
            error[turned, :, turned] += moments.patches[g]
            error[h, :, h] += moments.responses[g]
            error[turned, :, h] -= moments.cross[g]
            error[h, :, turned] -= moments.cross[g].T
            energy[h, :, h] += moments.responses[g]
    whole = scipy.linalg.eigh(error.reshape(n * p, -1), energy.reshape(n * p, -1), eigvals_only=True)
    # Keep those whose filters turn exactly as the grid does: apart from those, the spectrum is the orbits'.
    found = [orbit.error for orbit in solve_orbits(moments)]
    for value in found:
        assert np.abs(whole - value).min() < 1e-10
    assert found == sorted(found)
    assert min(found) == pytest.approx(whole.min(), abs=1e-10)


@pytest.mark.parametrize(("group", "side"), [(C8, 3), (C8, 5), (Cyclic(5), 3)], ids=str)
def test_error_of_an_orbit_is_what_the_metric_measures_for_it_alone(group, side):
    moments = smooth_moments(group, side)
    orbits = solve_orbits(symmetrize("test", group, side, moments))
    for orbit in orbits[: side**2]:
        atoms = np.stack([orbit.atoms(g, group.order) for g in range(group.order)])
        single = FixedBasis(group, side, torch.from_numpy(atoms.reshape(*atoms.shape[:2], side, side)))
        measured = basis_equivariance_error(single, moments).square().mean()
        assert float(measured) == pytest.approx(orbit.error, rel=0.15, abs=1e-9)


def test_error_budget_holds_for_every_atom():
    moments = smooth_moments(C8, 5)
    basis = SpectralBasis(C8, 5, moments, max_error=0.1)
    assert len(basis.errors) == len(basis.frequencies) == basis.num_atoms
    assert list(basis.errors) == sorted(basis.errors)
    assert 0.01 < basis.errors[-1] <= 0.1
    assert basis.num_atoms < 25


@pytest.mark.parametrize(("side", "dimension"), [(3, 6), (5, 11)])
def test_errs_less_than_harmonics_of_the_same_size(side, dimension):
    moments = smooth_moments(C8, side)
    spectral = SpectralBasis(C8, side, moments, dimension=dimension)
    harmonic = HarmonicBasis(C8, side)
    assert harmonic.num_atoms == dimension
    errors = [basis_equivariance_error(basis, moments).square().mean() for basis in (spectral, harmonic)]
    assert errors[0] < errors[1]


@pytest.mark.parametrize("group", [C8, Dihedral(8), Cyclic(7)], ids=str)
def test_atoms_are_orthonormal_on_average_over_the_group(group):
    flat = SpectralBasis(group, 3, smooth_moments(group, 3), max_error=0.5)(torch.float64).flatten(2)
    gram = torch.einsum("gdp,gep->de", flat, flat) / group.order
    torch.testing.assert_close(gram, torch.eye(len(gram), dtype=torch.float64), rtol=0, atol=1e-12)


def test_asks_for_one_of_dimension_and_error():
    for options in ({}, {"dimension": 6, "max_error": 0.1}):
        with pytest.raises(TypeError, match=r"SpectralBasis expects one of dimension .* and max_error"):
            SpectralBasis(C8, 3, smooth_moments(C8, 3), **options)


def test_names_the_dimensions_there_are():
    with pytest.raises(ValueError, match=r"SpectralBasis cannot have 100 atoms.*Choose from 1, 3, "):
        SpectralBasis(C8, 3, smooth_moments(C8, 3), dimension=100)


def test_refuses_missing_and_foreign_moments():
    with pytest.raises(TypeError, match="SpectralBasis expects moments of real images"):
        SpectralBasis(C8, 3, dimension=6)
    with pytest.raises(ValueError, match="SpectralBasis expects moments for C8 and kernel size 5"):
        SpectralBasis(C8, 5, smooth_moments(C8, 3), dimension=6)


@pytest.mark.parametrize("budget", [-1, -1e-9, math.nan, math.inf])
@pytest.mark.parametrize("group", [C8, Cyclic(4)], ids=str)
def test_refuses_budgets_that_make_no_sense(group, budget):
    with pytest.raises(ValueError, match=f"SpectralBasis expects max_error of zero or more, and finite, got {budget}"):
        SpectralBasis(group, 3, smooth_moments(group, 3), max_error=budget)


def test_budget_of_zero_lets_all_exact_orbits_in():
    assert SpectralBasis(Cyclic(4), 3, smooth_moments(Cyclic(4), 3), max_error=0).num_atoms == 9
