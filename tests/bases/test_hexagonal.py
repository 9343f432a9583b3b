"""Bases on the hexagonal lattice: exact ones, and those learned from moments measured on it."""

import itertools

import numpy as np
import pytest
import torch

from orbitconv import Cyclic, Dihedral, bases
from orbitconv.hexagonal import HexagonalGrid, HexagonalImage, exact_hexagonal_elements, to_hexagonal
from orbitconv.learn import measure_hexagonal_moments
from orbitconv.metrics import basis_equivariance_error, group_law_error, unitarity_error
from raising import refuses
from references import smooth_images, smooth_moments


def moments(group, kernel_size, seed=0):
    images = to_hexagonal(smooth_images(count=12, seed=seed), padding_mode="reflect")
    return measure_hexagonal_moments(images, group, kernel_size)


def moved(group, g, atom):
    """A filter on hexagons with every tap at its turned position."""
    side = len(atom)
    if side == 1:
        return atom
    places = HexagonalGrid(side // 2).positions.reshape(2, -1)
    turned = group.matrix(g) @ places
    result = np.zeros(side * side)
    for value, place in zip(atom.ravel(), turned.T, strict=True):
        if value:
            (target,) = np.flatnonzero(np.hypot(*(places - place[:, None])) < 1e-9)
            result[target] = value
    return result.reshape(side, side)


@pytest.mark.parametrize(("kernel_size", "taps"), [(1, 1), (3, 7), (5, 19), (7, 37)])
@pytest.mark.parametrize("group", [Cyclic(1), Cyclic(2), Cyclic(3), Cyclic(6), Dihedral(1), Dihedral(3), Dihedral(6)])
def test_exact_filters_have_their_taps_at_the_turned_positions(group, kernel_size, taps):
    basis = bases.ExactBasis(group, kernel_size, lattice="hexagonal")
    assert (basis.num_atoms, basis.num_taps, basis.is_complete) == (taps, taps, True)
    filters = torch.randn(taps, dtype=torch.float64, generator=torch.manual_seed(0)) @ basis.atoms.flatten(2)
    for g in range(group.order):
        expected = moved(group, g, filters[0].reshape(basis.kernel_size).numpy())
        np.testing.assert_array_equal(filters[g].reshape(basis.kernel_size).numpy(), expected)


@pytest.mark.parametrize(("group", "size", "words"), [
    (Cyclic(4), 3, "90 degrees"), (Dihedral(12), 5, "30 degrees"), (Cyclic(6), 4, "one odd side"),
    (Cyclic(6), (3, 5), "got 3x5"), (Cyclic(5), 3, "72 degrees"),
])  # fmt: skip
def test_what_does_not_fit_the_lattice_is_refused(group, size, words):
    refuses(ValueError, words, bases.ExactBasis, group, size, lattice="hexagonal")


@pytest.mark.parametrize("group", [Cyclic(12), Dihedral(12)])
@pytest.mark.parametrize("family", [bases.SpectralBasis, bases.UnitaryBasis])
def test_learned_filters_turn_exactly_by_60_degrees_and_mirror_exactly(group, family):
    options = {"dimension": 11} if family is bases.SpectralBasis else {}
    basis = family(group, 5, moments(group, 5), **options)
    assert basis.lattice == "hexagonal"
    for g in exact_hexagonal_elements(group):
        for atom, turned in zip(basis.atoms[0], basis.atoms[g], strict=True):
            np.testing.assert_array_equal(turned.numpy(), moved(group, g, atom.numpy()))
    errors = basis_equivariance_error(basis, moments(group, 5, seed=1))
    exact = list(exact_hexagonal_elements(group))
    assert errors[exact].max() < 1e-7
    assert 1e-4 < errors.max() < 0.2


def test_the_unitary_basis_is_unitary_and_a_representation():
    basis = bases.UnitaryBasis(Cyclic(12), 7, moments(Cyclic(12), 7))
    assert (basis.num_atoms, basis.is_complete) == (37, True)
    assert unitarity_error(basis).max() < 1e-12
    assert group_law_error(basis).max() < 1e-11


def test_a_pattern_that_changes_sign_at_60_degrees_finds_no_partner_in_one_ring():
    basis = bases.UnitaryBasis(Cyclic(12), 3, moments(Cyclic(12), 3))
    assert (basis.num_atoms, basis.is_complete) == (6, False)
    ring = HexagonalGrid(1).positions
    alternating = np.where(np.hypot(*ring) > 0.5, np.cos(3 * np.arctan2(*ring)), 0) * HexagonalGrid(1).mask
    assert np.abs(basis.atoms[0].flatten(1).numpy() @ alternating.ravel()).max() < 1e-10


def test_moments_are_those_of_naive_loops_over_a_function_that_turns():
    def function(points):
        return np.cos(0.5 * points[0] + 0.3 * points[1] + 0.4) + 0.5 * np.sin(0.2 * points[0] - 0.6 * points[1])

    grid, group, radius = HexagonalGrid(9), Dihedral(12), 1
    values = torch.from_numpy(function(grid.positions))[None, None]
    measured = measure_hexagonal_moments(HexagonalImage(values, grid), group, 3, standardize=False)
    taps = HexagonalGrid(radius).positions.reshape(2, -1).T
    mask = HexagonalGrid(radius).mask.ravel()
    points = [p for p in grid.positions[:, grid.mask].T if np.hypot(*p) + radius <= 9 * np.sqrt(3) / 2 + 1e-9]
    for g in (0, 1, 2, 13):
        sums = np.zeros((3, 9, 9))
        back = group.matrix(g).T
        for point in points:
            x = np.array([function(back @ (point + tap)) for tap in taps]) * mask
            y = np.array([function(back @ point + tap) for tap in taps]) * mask
            for row, (a, b) in enumerate(itertools.combinations_with_replacement((x, y), 2)):
                sums[row] += np.outer(a, b)
        found = measured.patches[g], measured.cross[g], measured.responses[g]
        for expected, own in zip(sums / len(points), found, strict=True):
            np.testing.assert_allclose(own.numpy(), expected, atol=2e-3 * np.abs(expected).max())


@pytest.mark.parametrize("name", ["hexagonal-exact-c6-k3", "hexagonal-unitary-d12-k5", "hexagonal-spectral-c12-k7-d13"])
def test_names_and_files_keep_the_lattice(name, tmp_path):
    basis = bases.load_basis(name)
    assert (basis.lattice, basis.group) == ("hexagonal", bases.parse_basis_name(name).group)
    bases.save_basis(basis, tmp_path / "b.safetensors")
    again = bases.read_basis(tmp_path / "b.safetensors")
    assert again.lattice == "hexagonal"
    torch.testing.assert_close(again.atoms, basis.atoms, rtol=0, atol=0)


@pytest.mark.parametrize(("name", "words"), [
    ("hexagonal-exact-c4-k3", "90 degrees"), ("hexagonal-exact-c6-k4", "one odd side"),
    ("hexagonal-exakt-c6-k3", "hexagonal-exact-c6-k3"), ("hexagonal-spectral-c8-k5", "c12, d12"),
    ("hexagonal-exact-c6-k3-d5", "7 atoms"), ("hexagonal-bilinear-c6-k3", "no basis named"),
])  # fmt: skip
def test_names_without_a_basis_are_refused(name, words):
    refuses(ValueError, words, bases.load_basis, name)


def test_moments_of_the_other_lattice_are_refused():
    group = Cyclic(12)
    hexagonal, square = moments(group, 3), smooth_moments(group, 3)
    basis = bases.SpectralBasis(group, 3, hexagonal, dimension=bases.available_dimensions(group, 3, hexagonal)[-1])
    refuses(ValueError, "hexagonal lattice, got moments", basis_equivariance_error, basis, square)
    refuses(TypeError, "to_hexagonal", measure_hexagonal_moments, [torch.zeros(1, 1, 9, 9)], group, 3)
    with pytest.raises(ValueError, match="disc"):
        measure_hexagonal_moments(HexagonalImage(torch.zeros(1, 1, 9, 9), HexagonalGrid(4, "disc")), group, 3)
    with pytest.raises(ValueError, match="room for filters of radius 3"):
        measure_hexagonal_moments(to_hexagonal(smooth_images(count=2, size=5)), group, 7)
