"""What the pictures of bases show: projections, turns, eigenvalues, inner products, and which bases they are of."""

import io
import json
import xml.etree.ElementTree as ET

import numpy as np
import pytest
import scipy.linalg
import torch

from orbitconv.bases import BilinearBasis, HarmonicBasis, SpectralBasis, list_bases, load_basis, save_basis
from orbitconv.figures.basis_turning import (
    angular_frequencies,
    inner_products,
    one_step_eigenvalues,
    random_pattern,
    turn_filter,
)
from orbitconv.groups import Cyclic, Dihedral
from orbitconv.metrics import unitarity_error
from orbitconv.show.show_basis import ShowBasis, choose_bases, element_in, measure, show_basis
from orbitconv.show.shown_bases import named_basis
from raising import refuses
from references import FAMILIES, REPRESENTATIONS, smooth_moments

C8 = Cyclic(8)


@pytest.mark.parametrize("kernel", [(3, 3), (4, 4), (7, 7), (3, 5)])
def test_a_pattern_has_norm_one_and_no_mean_at_the_pixels(kernel):
    values = random_pattern(kernel, seed=3).turned(C8, 0, kernel)
    assert np.linalg.norm(values) == pytest.approx(1, abs=1e-12)
    assert values.sum() == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("fineness", [1, 6])
def test_a_pattern_turns_exactly_by_quarters_and_mirrors(fineness):
    pattern, group = random_pattern((5, 5), seed=0), Dihedral(8)
    upright = pattern.turned(group, 0, (5, 5), fineness)
    for quarters in range(4):
        turned = pattern.turned(group, 2 * quarters, (5, 5), fineness)
        np.testing.assert_allclose(turned, np.rot90(upright, quarters), rtol=0, atol=1e-12)
        mirrored = pattern.turned(group, 8 + 2 * quarters, (5, 5), fineness)
        np.testing.assert_allclose(mirrored, np.rot90(upright[:, ::-1], quarters), rtol=0, atol=1e-12)
    assert np.abs(pattern.turned(group, 1, (5, 5), fineness) - upright).max() > 0.1


@pytest.mark.parametrize("name", ["harmonic-C8-3", "spectral-D8-5", "bilinear-C8-3", "unitary-D8-3"])
def test_the_filter_that_turns_is_the_least_squares_fit_in_the_span(name):
    basis = FAMILIES[name]()
    target = random_pattern(basis.kernel_size, seed=1).turned(basis.group, 0, basis.kernel_size)
    atoms = basis(torch.float64).flatten(2).numpy()
    coefficients = scipy.linalg.lstsq(atoms[0].T, target.ravel())[0]
    turned = turn_filter(target, basis)
    np.testing.assert_allclose(turned.reshape(len(atoms), -1), coefficients @ atoms, rtol=0, atol=1e-11)
    np.testing.assert_allclose(turned[2 * basis.group.num_rotations // 8], np.rot90(turned[0]), rtol=0, atol=1e-11)


@pytest.mark.parametrize("name", REPRESENTATIONS)
def test_a_representation_has_roots_of_unity_as_eigenvalues_of_one_step(name):
    basis = FAMILIES[name]()
    values = one_step_eigenvalues(basis)
    assert len(values) == basis.num_atoms
    np.testing.assert_allclose(values**basis.group.num_rotations, 1, rtol=0, atol=1e-8)


@pytest.mark.parametrize("name", [name for name in list_bases() if name.startswith("unitary") and "k3" in name])
def test_eigenvalues_of_unitary_bases_have_modulus_one(name):
    np.testing.assert_allclose(np.abs(one_step_eigenvalues(load_basis(name))), 1, rtol=0, atol=1e-12)


def test_angular_frequencies_are_those_a_spectral_basis_states():
    for group, kernel, dimension in [(C8, 3, 6), (Dihedral(8), 5, 11), (Cyclic(6), 4, 8)]:
        basis = SpectralBasis(group, kernel, smooth_moments(group, kernel), dimension=dimension)
        assert angular_frequencies(basis) == list(basis.frequencies)
    assert angular_frequencies(HarmonicBasis(C8, 3)) == [0, 0, 1, 1, 2, 2]
    assert angular_frequencies(BilinearBasis(C8, 3)) is None


@pytest.mark.parametrize("name", ["gaussian-C8-3", "harmonic-C8-3", "unitary-C8-3", "spectral-D8-5"])
def test_inner_products_are_those_of_the_atoms_in_the_root_of_their_mean_gram_matrix(name):
    basis = FAMILIES[name]()
    flat = basis(torch.float64).flatten(2).numpy()
    root = np.real(scipy.linalg.inv(scipy.linalg.sqrtm(np.mean([b @ b.T for b in flat], axis=0))))
    found = inner_products(basis, 1)
    np.testing.assert_allclose(found, root @ flat[1] @ flat[1].T @ root, rtol=0, atol=1e-9)
    error = np.linalg.norm(found - np.eye(len(found))) / len(found) ** 0.5
    assert error == pytest.approx(float(unitarity_error(basis)[1]), abs=1e-9)


def test_elements_of_a_part_of_the_group_are_the_same_moves():
    part, whole = Dihedral(4), Dihedral(8)
    for g in range(whole.order):
        found = element_in(part, whole, g)
        if g % 2:
            assert found is None
        else:
            assert found is not None
            np.testing.assert_array_equal(part.matrix(found), whole.matrix(g))


def test_measures_of_a_complete_and_of_a_small_basis():
    unitary, spectral = (measure(shown) for shown in choose_bases(ShowBasis(bases=("unitary", "spectral"))))
    assert (unitary["num_atoms"], spectral["num_atoms"]) == (9, 6)
    assert unitary["group_law_error"] < 1e-12 < 0.1 < spectral["unitarity_error"]
    assert spectral["group_law_error"] is None


def test_group_and_size_follow_the_bases_named():
    chosen = choose_bases(ShowBasis(bases=("bilinear", "spectral-d6-k5", "unitary-d6-k5")))
    assert [(str(s.basis.group), s.basis.kernel_size) for s in chosen] == [("D6", (5, 5))] * 3
    assert chosen[1].spectrum is not None
    assert (chosen[1].spectrum.kept, len(chosen[1].spectrum.errors)) == (11, 25)


def test_what_the_library_lacks_is_fitted(data_dir):
    (shown,) = choose_bases(ShowBasis(bases=("spectral",), kernel_size=4, data_dir=data_dir))
    assert shown.spectrum is not None
    assert shown.basis.num_atoms == shown.spectrum.kept < len(shown.spectrum.errors) <= 16
    assert angular_frequencies(shown.basis) == list(shown.spectrum.frequencies[: shown.spectrum.kept])


@pytest.mark.parametrize(("bases", "settings", "words"), [
    (("bilinar",), {}, "bilinear"),
    (("spektral-c8-k3",), {}, "spectral-c8-k3"),
    (("spectral-c8-k4",), {}, "No spectral basis of C8 with 4x4"),
    (("spectral-c8-k5", "unitary-c8-k3"), {}, "unitary-c8-k3 .C8 3x3. where C8, 5x5"),
    (("spectral-c8-k5",), {"group": "d8"}, "D8, 5x5 is expected"),
    (("spectral-c8-k5-d10",), {}, "cannot be cut to 10"),
    ((), {}, "one basis or more"),
    (("exact",), {"seed": -1}, "seed >= 0"),
    (("exact",), {"kernel_size": 0}, "kernel_size >= 1"),
    (("exact",), {"group": "e8"}, "C8 or D4"),
])  # fmt: skip
def test_bad_names_and_settings_are_refused(bases, settings, words):
    refuses(ValueError, words, lambda: choose_bases(ShowBasis(bases=bases, **settings)))


def test_a_file_that_is_not_there_is_refused():
    with pytest.raises(FileNotFoundError, match=r"no file mine\.safetensors"):
        choose_bases(ShowBasis(bases=("mine.safetensors",)))


def test_everything_is_written_twice_the_same(tmp_path):
    pytest.importorskip("matplotlib")
    save_basis(HarmonicBasis(C8, 3), tmp_path / "mine.safetensors")
    config = ShowBasis(bases=("exact", "spectral-c8-k3", str(tmp_path / "mine.safetensors")), seed=2)
    folders = [tmp_path / "a", tmp_path / "b"]
    for folder in folders:
        folder.mkdir()
        rows = show_basis(config, folder)
    first, second = ({p.name: p.read_bytes() for p in folder.iterdir()} for folder in folders)
    sheets = ["orbits-exact", "orbits-spectral-c8-k3", "orbits-mine", "turning", "spectrum", "eigenvalues", "unitarity"]
    stills = {f"{name}.{kind}" for name in sheets for kind in ("png", "svg")}
    assert first.keys() == stills | {"turning.webp", "bases.json"}
    assert first == second
    assert json.loads(first["bases.json"])["rows"] == rows
    for name in sheets:
        assert ET.fromstring(first[f"{name}.svg"]).tag.endswith("svg")
        assert first[f"{name}.png"].startswith(b"\x89PNG")


@pytest.mark.parametrize("animation", ["webp", "gif"])
def test_the_animation_has_a_frame_for_each_element_and_loops(tmp_path, animation):
    image = pytest.importorskip("PIL.Image")
    show_basis(ShowBasis(bases=("exact", "bilinear"), group="d4", animation=animation, max_atoms=2), tmp_path)
    moving = image.open(io.BytesIO((tmp_path / f"turning.{animation}").read_bytes()))
    assert (moving.n_frames, moving.info["loop"]) == (8, 0)
    durations = []
    for frame in range(moving.n_frames):
        moving.seek(frame)
        moving.load()
        durations.append(moving.info["duration"])
    assert durations == [300] * 8
    assert moving.convert("RGB").getpixel((0, 0)) == (255, 255, 255)


def test_bases_on_hexagons_are_refused_before_anything_is_drawn():
    refuses(ValueError, "got hexagonal-exact-c6-k3 on the hexagonal lattice", named_basis, "hexagonal-exact-c6-k3")
