import time
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from orbitconv.bases import BilinearBasis, FixedBasis, UnitaryBasis
from orbitconv.data import load
from orbitconv.groups import Cyclic, Dihedral, exact_elements, grid_permutation
from orbitconv.learn import measure_moments
from orbitconv.metrics import basis_equivariance_error
from references import smooth_moments, turn, unitary

ORDERS = [(Cyclic(n), k) for n in range(1, 25) for k in (3, 5)]
LARGE = [(Cyclic(8), 7), (Cyclic(6), 7), (Cyclic(5), 4), (Cyclic(12), 6), (Cyclic(3), 2)]
MIRRORED = [(Dihedral(n), k) for n in (2, 3, 4, 5, 6, 8, 12) for k in (3, 5)] + [(Dihedral(3), 4)]


@pytest.fixture(params=ORDERS + LARGE + MIRRORED, ids=lambda case: f"{case[0]}-{case[1]}")
def complete(request) -> UnitaryBasis:
    return unitary(*request.param, 6)


def maps(basis: FixedBasis) -> np.ndarray:
    """M_g with psi_g = M_g psi_0, for a basis whose atoms at the identity are the pixels."""
    return basis(torch.float64).flatten(2).mT.numpy()


def test_is_complete_unitary_a_representation_and_exact_at_quarter_turns(complete):
    group, side = complete.group, complete.kernel_size[0]
    assert complete.num_atoms == side**2
    M = maps(complete)
    np.testing.assert_allclose(M[0], np.eye(side**2), rtol=0, atol=1e-13)
    np.testing.assert_allclose(M @ M.transpose(0, 2, 1), np.broadcast_to(np.eye(side**2), M.shape), rtol=0, atol=1e-12)
    np.testing.assert_allclose(M[:, None] @ M, M[group.product], rtol=0, atol=1e-12)
    for g in exact_elements(group, side, side):
        np.testing.assert_allclose(M[g], np.eye(side**2)[grid_permutation(group, g, side, side)], rtol=0, atol=1e-12)


@pytest.mark.parametrize("side", [2, 3, 4, 6])
@pytest.mark.parametrize("group", [Cyclic(8), Cyclic(12), Cyclic(16), Dihedral(6), Dihedral(8)], ids=str)
def test_dimension_is_what_symmetry_allows(group, side):
    # The patterns that a quarter turn negates (even or odd under the mirror) need partners if N % 8 == 0.
    n = group.num_rotations
    pixels = torch.eye(side**2, dtype=torch.float64).reshape(-1, side, side)

    def count(character):
        """How often a one-dimensional representation of the exact moves occurs among the pixels."""
        moves = range(8 if group.order > n else 4)
        traces = [float((turn(pixels, g % 4, mirror=g >= 4) * pixels).sum()) * character(g) for g in moves]
        return round(sum(traces) / len(traces))

    dropped = 0
    if n % 8 == 0 and group.order == n:
        dropped = count(lambda g: (-1) ** g) % 2
    elif n % 8 == 0:
        even, odd = count(lambda g: (-1) ** (g % 4)), count(lambda g: (-1) ** (g % 4) * (-1 if g >= 4 else 1))
        dropped = abs(even - odd)
    basis = unitary(group, side)
    assert basis.num_atoms == side**2 - dropped
    assert basis.is_complete == (dropped == 0)
    expected = {(Cyclic(8), 2): 3, (Cyclic(8), 4): 16, (Cyclic(8), 6): 35, (Dihedral(8), 2): 3, (Dihedral(8), 4): 14}
    assert basis.num_atoms == expected.get((group, side), basis.num_atoms)


@pytest.mark.parametrize(
    ("group", "side"), [(Cyclic(8), 3), (Cyclic(16), 5), (Cyclic(6), 3), (Dihedral(8), 3)], ids=str
)
def test_is_within_a_few_percent_of_unitary_filters_without_a_group_law(group, side):
    moments = smooth_moments(group, side)
    left, _, right = torch.linalg.svd(moments.cross)  # the best orthogonal map for each element alone
    bound = FixedBasis(group, side, (left @ right).mT.reshape(group.order, -1, side, side))
    least = basis_equivariance_error(bound, moments).square().sum()
    found = basis_equivariance_error(UnitaryBasis(group, side, moments), moments).square().sum()
    assert least * (1 - 1e-9) <= found <= 1.1 * least


@pytest.mark.parametrize("group", [Cyclic(8), Cyclic(6), Dihedral(8)], ids=str)
def test_no_random_conjugate_fits_better(group):
    # Conjugating with a rotation that commutes with the exact moves keeps every constraint.
    cross = smooth_moments(group, 3).cross.numpy()
    M = maps(UnitaryBasis(group, 3, smooth_moments(group, 3)))
    best = np.sum(M * cross)
    moves = [np.eye(9)[grid_permutation(group, g, 3, 3)] for g in exact_elements(group, 3, 3)]
    rng = np.random.default_rng(0)
    worse = []
    for size in [1e-3] * 50 + [1e-1] * 50 + [1.0] * 50:
        skew = rng.normal(size=(9, 9))
        skew = sum(move @ (skew - skew.T) @ move.T for move in moves) / len(moves)
        q, _ = np.linalg.qr(np.eye(9) + size * skew / 2)
        q = np.linalg.solve(np.eye(9) - size * skew / 2, np.eye(9) + size * skew / 2)  # Cayley: commutes as skew does
        worse.append(best - np.sum((q @ M @ q.T) * cross))
    assert min(worse) >= -1e-12 * best
    assert max(worse) > 1e-3 * best


@pytest.mark.parametrize("group", [Cyclic(1), Cyclic(2), Cyclic(4), Dihedral(1), Dihedral(4)], ids=str)
@pytest.mark.parametrize("side", [1, 2, 3])
def test_groups_of_quarter_turns_need_no_moments(group, side):
    basis = UnitaryBasis(group, side)
    pixels = torch.eye(side**2, dtype=torch.float64).reshape(-1, side, side)
    for g in range(group.order):
        quarters = 4 // group.num_rotations * int(group.rotation_steps[g])
        assert torch.equal(basis(torch.float64)[g], turn(pixels, quarters, mirror=bool(group.mirrors[g])))


def test_one_pixel_needs_no_moments():
    assert torch.equal(UnitaryBasis(Cyclic(8), 1)(), torch.ones(8, 1, 1, 1))


def test_says_which_moments_are_missing():
    with pytest.raises(TypeError, match=r"moments of real images.*C8.*measure_moments\(images, Cyclic\(8\), 3\)"):
        UnitaryBasis(Cyclic(8), 3)
    with pytest.raises(TypeError, match=r"measure_moments\(images, Dihedral\(6\), 5\)"):
        UnitaryBasis(Dihedral(6), 5)


def test_refuses_moments_of_another_group_or_size():
    moments = smooth_moments(Cyclic(8), 3, 8)
    with pytest.raises(ValueError, match=r"moments for C16 and kernel size 3, got moments for C8 and \(3, 3\)"):
        UnitaryBasis(Cyclic(16), 3, moments)
    with pytest.raises(ValueError, match=r"moments for C8 and kernel size 5, got moments for C8 and \(3, 3\)"):
        UnitaryBasis(Cyclic(8), 5, moments)


def test_refuses_moments_that_are_not_finite():
    good = smooth_moments(Cyclic(8), 3, 8).cross
    cross = good.clone()
    cross[1, 2, 3] = torch.nan
    moments = SimpleNamespace(group=Cyclic(8), kernel_size=(3, 3), cross=cross, patches=good, responses=good)
    with pytest.raises(ValueError, match="UnitaryBasis expects finite moments, got 1 NaN or infinite values among 648"):
        UnitaryBasis(Cyclic(8), 3, moments)


@pytest.mark.parametrize(("side", "error"), [(0, ValueError), ((3, 3), TypeError), (3.0, TypeError)])
def test_refuses_sizes_that_are_no_side_of_a_square(side, error):
    with pytest.raises(error, match="UnitaryBasis expects kernel_size"):
        UnitaryBasis(Cyclic(8), side, smooth_moments(Cyclic(8), 3, 8))


def test_targets_on_real_photographs(data_dir):
    train, test = (load("cifar10", split, data_dir=data_dir).images for split in ("train", "test"))
    grey = [images[:2000].float().mean(1, keepdim=True) / 255 for images in (train, test)]
    start = time.process_time()
    basis = UnitaryBasis(Cyclic(8), 3, measure_moments(grey[0], Cyclic(8), 3))
    assert time.process_time() - start < 5
    held_out = measure_moments(grey[1], Cyclic(8), 3)
    learned = basis_equivariance_error(basis, held_out)
    bilinear = basis_equivariance_error(BilinearBasis(Cyclic(8), 3), held_out)
    assert 0.05 < learned[1] <= 0.18
    assert learned[1] < bilinear[1] / 3
    atoms = basis(torch.float32)
    M = atoms.flatten(2).mT
    torch.testing.assert_close(atoms[2], turn(atoms[0], 1), rtol=0, atol=1e-6)
    torch.testing.assert_close(M @ M.mT, torch.eye(9).expand(8, -1, -1), rtol=0, atol=1e-6)
    torch.testing.assert_close(M[1] @ M[1], M[2], rtol=0, atol=1e-6)


REDUCED = [(Cyclic(8), 3), (Cyclic(8), 5), (Cyclic(6), 3), (Cyclic(5), 4), (Cyclic(4), 3), (Dihedral(8), 3)]


@pytest.mark.parametrize(("group", "side"), REDUCED, ids=str)
def test_reduced_set_is_orthonormal_a_representation_and_exact_where_the_grid_is(group, side):
    moments = smooth_moments(group, side)
    with pytest.raises(ValueError, match="UnitaryBasis cannot have 1000 atoms") as refusal:
        UnitaryBasis(group, side, moments, dimension=1000)
    for dimension in map(int, str(refusal.value).partition("Choose from ")[2].rstrip(".").split(", ")):
        basis = UnitaryBasis(group, side, moments, dimension=dimension)
        flat = basis(torch.float64).flatten(2)
        identity = torch.eye(dimension, dtype=torch.float64).expand(group.order, -1, -1)
        torch.testing.assert_close(flat @ flat.mT, identity, rtol=0, atol=1e-12)
        M = torch.einsum("gdp,dq->gpq", flat, flat[0])  # partial isometries: psi_g = M_g psi_0 on the span
        torch.testing.assert_close(M[:, None] @ M, M[torch.as_tensor(group.product)], rtol=0, atol=1e-12)
        for g in exact_elements(group, side, side):
            quarters = int(group.rotation_steps[g]) * 4 // group.num_rotations
            expected = turn(basis(torch.float64)[0], quarters, mirror=bool(group.mirrors[g]))
            torch.testing.assert_close(basis(torch.float64)[g], expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize(("group", "side"), [(Cyclic(8), 3), (Cyclic(5), 4), (Dihedral(8), 3)], ids=str)
@pytest.mark.parametrize("dimension", [3, 4, 6])
def test_the_atoms_kept_have_the_smallest_error_of_all_choices_of_orbits(group, side, dimension):
    # The error of a choice is a ratio of sums over its orthonormal atoms: try random rotations inside each frequency.
    moments = smooth_moments(group, side)
    chosen = UnitaryBasis(group, side, moments, dimension=dimension)
    rms = float(summed_error(chosen(torch.float64), moments))
    ordered = UnitaryBasis(group, side, moments, dimension=UnitaryBasis(group, side, moments).num_atoms)
    atoms, frequencies = ordered(torch.float64), np.array(ordered.frequencies)
    rng = np.random.default_rng(0)
    others = []
    for _ in range(300):
        rotated = atoms.clone()
        for k in set(ordered.frequencies):
            own = np.flatnonzero(frequencies == k)
            if 2 * k % group.num_rotations:  # pairs: a unitary mixing of v = (a + i b)
                z = torch.complex(atoms[:, own[::2]], atoms[:, own[1::2]])
                mixing = np.linalg.qr(rng.normal(size=(z.shape[1],) * 2) + 1j * rng.normal(size=(z.shape[1],) * 2))[0]
                z = torch.einsum("de,gehw->gdhw", torch.from_numpy(mixing), z)
                rotated[:, own[::2]], rotated[:, own[1::2]] = z.real, z.imag
            else:
                mixing = np.linalg.qr(rng.normal(size=(len(own), len(own))))[0]
                rotated[:, own] = torch.einsum("de,gehw->gdhw", torch.from_numpy(mixing), atoms[:, own])
        sizes = [2 if 2 * k % group.num_rotations else 1 for k in frequencies]
        starts = [d for d in range(len(sizes)) if sizes[d] == 1 or (frequencies[:d] == frequencies[d]).sum() % 2 == 0]
        keep = []
        for d in rng.permutation(starts):  # whole orbits, at random
            if len(keep) + sizes[d] <= dimension:
                keep += range(d, d + sizes[d])
        if len(keep) < dimension:
            continue
        others.append(float(summed_error(rotated[:, keep], moments)))
    assert len(others) > 50
    assert rms <= min(others) * (1 + 1e-9)


def summed_error(atoms, moments):
    """Squared error over energy, both summed over atoms and elements."""
    flat = atoms.flatten(2)
    error = torch.einsum("gdp,gpq,gdq->", flat, moments.patches, flat)
    error = error - 2 * torch.einsum("gdp,gpq,dq->", flat, moments.cross, flat[0])
    energy = torch.einsum("dp,gpq,dq->", flat[0], moments.responses, flat[0])
    return (error + energy) / energy


@pytest.mark.parametrize(("side", "dimension"), [(3, 6), (5, 11)])
def test_error_of_an_atoms_orbit_is_what_the_metric_measures_for_it_alone(side, dimension):
    moments = smooth_moments(Cyclic(8), side)
    basis = UnitaryBasis(Cyclic(8), side, moments, dimension=dimension)
    for d, (error, k) in enumerate(zip(basis.errors, basis.frequencies, strict=True)):
        first = d - (sum(f == k for f in basis.frequencies[:d]) % 2 if k % 4 else 0)
        orbit = basis(torch.float64)[:, first : first + (2 if k % 4 else 1)]
        assert error == pytest.approx(float(summed_error(orbit, moments)) ** 0.5, rel=0.02, abs=1e-6)


def test_a_dimension_that_would_cut_a_pair_is_refused():
    with pytest.raises(ValueError, match=r"UnitaryBasis cannot have 10 atoms, as pairs .* Choose from 1, 2, 3, .* 9\."):
        UnitaryBasis(Cyclic(8), 3, smooth_moments(Cyclic(8), 3), dimension=10)
