"""`learn-basis` on folders of pictures: what is learned from, what is left out and said, and what layers then take."""

import numpy as np
import pytest
import scipy.ndimage
import torch

from orbitconv.bases import load_basis, read_basis
from orbitconv.cli.main import main
from orbitconv.data.errors import DataError
from orbitconv.data.skipped import Skipped
from orbitconv.groups import Cyclic
from orbitconv.learn import measure_moments
from orbitconv.learn_basis import LearnBasis, grey_images, learn_basis
from orbitconv.metrics import basis_equivariance_error
from orbitconv.nn import LiftingConv2d
from raising import refuses
from refusals import refused

image = pytest.importorskip("PIL.Image")


def picture(path, height, width, seed, level=None):
    """A smooth picture, or one whose mean tells it from others."""
    noise = scipy.ndimage.gaussian_filter(np.random.default_rng(seed).normal(size=(height, width)), 2)
    pixels = 128 + 500 * noise if level is None else level + 50 * noise
    path.parent.mkdir(parents=True, exist_ok=True)
    image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(path)


@pytest.fixture
def folder(tmp_path):
    for number in range(6):
        picture(tmp_path / "pictures" / "ab"[number % 2] / f"{number}.png", 64, 64, number)
    return tmp_path / "pictures"


@pytest.fixture
def spoiled(folder):
    """Beside good pictures: thin and tiny ones, an empty file, a hidden file, and one that is no picture."""
    for name, size in {"thin.png": (1, 50), "two.png": (2, 2), "three.png": (3, 3), "side.png": (64, 2)}.items():
        picture(folder / "a" / name, *size, 0)
    (folder / "a" / "empty.png").touch()
    (folder / "b" / "._0.png").write_bytes(b"\0\5\26\7")
    (folder / "b" / "broken.png").write_bytes(b"no picture")
    return folder


def test_layers_take_the_atoms_that_are_printed(folder, tmp_path, capsys):
    out = tmp_path / "mine.safetensors"
    main(["learn-basis", "--images", str(folder), "--tile-size", "64", "--out", str(out)])
    shown = {
        line.split("│")[1].strip(): line.split("│")[2].strip()
        for line in capsys.readouterr().out.splitlines()
        if "│" in line
    }
    layer = LiftingConv2d(1, 2, str(out))
    assert shown["atoms in the file"] == str(read_basis(out).num_atoms) == "9"
    assert shown["atoms that layers take"] == str(layer.basis.num_atoms) == "6"
    tiles = torch.cat(list(grey_images(folder, None, 3, tile_size=64)))
    error = float(basis_equivariance_error(layer.basis, measure_moments(tiles, Cyclic(8), 3)).max())
    assert float(shown["equivariance error of those"]) == pytest.approx(error, rel=1e-3)
    assert load_basis(out, dimension=9).num_atoms == 9


def test_bad_small_and_hidden_pictures_are_left_out_and_said(spoiled, tmp_path, capsys):
    main(["learn-basis", "--images", str(spoiled), "--tile-size", "64", "--out", str(tmp_path / "a.safetensors")])
    shown = " ".join(capsys.readouterr().out.split())
    assert "7 of 13 pictures were left out" in shown
    assert "1 hidden (._0.png)" in shown
    assert "4 smaller than 64x64 pixels" in shown
    assert "broken.png" in shown
    assert "empty.png" in shown
    known = load_basis(tmp_path / "a.safetensors").metadata
    assert (known["images"], known["pictures"], known["pictures_left_out"]) == (6, 13, 7)


@pytest.mark.parametrize("size", [(1, 1), (1, 200), (2, 200), (200, 2), (2, 2)])
def test_one_picture_that_is_too_thin_is_refused_in_one_line(tmp_path, capsys, size):
    picture(tmp_path / "pictures" / "thin.png", *size, 0)
    words = ["learn-basis", "--images", str(tmp_path / "pictures"), "--out", str(tmp_path / "a.safetensors")]
    assert f"got none larger than {size[1]}x{size[0]}" in refused(capsys, words)


def test_a_limit_on_images_takes_from_every_folder(tmp_path):
    for level, name in ((60, "a"), (120, "b"), (180, "c")):
        for number in range(5):
            picture(tmp_path / name / f"{number}.png", 32, 32, number, level)
    skipped = Skipped()
    taken = torch.cat(list(grey_images(tmp_path, 6, 3, tile_size=32, skipped=skipped)))
    assert skipped.total == 6  # no picture was read in vain
    levels = (taken.mean((1, 2, 3)) * 255).round(decimals=-1).tolist()
    assert sorted(levels) == [60, 60, 120, 120, 180, 180]


def test_the_same_seed_takes_the_same_pictures_and_another_seed_others(folder):
    first, again, other = (torch.cat(list(grey_images(folder, 2, 3, tile_size=64, seed=seed))) for seed in (0, 0, 3))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_tiles_of_many_pictures_come_in_full_batches(tmp_path):
    for number in range(70):
        picture(tmp_path / f"{number}.png", 16, 33, number)
    assert [len(batch) for batch in grey_images(tmp_path, None, 3, tile_size=16)] == [64, 64, 12]
    assert [len(batch) for batch in grey_images(tmp_path, 100, 3, tile_size=16)] == [64, 36]


def test_pictures_that_are_too_small_for_a_tile_name_what_was_left_out(folder):
    words = r"at least 96x96 pixels, got none larger than 64x64.*--tile-size 64; 6 of 6 pictures"
    refuses(DataError, words, lambda: learn_basis(LearnBasis(out=folder.parent / "a.safetensors", images=folder)))
    with pytest.raises(ValueError, match=r"images of at least .* a larger --tile-size"):
        learn_basis(LearnBasis(out=folder.parent / "a.safetensors", images=folder, tile_size=8, kernel_size=9))
    assert not (folder.parent / "a.safetensors").exists()


@pytest.mark.parametrize("field", ["tile_size", "max_images", "seed"])
def test_numbers_below_zero_are_refused(tmp_path, field):
    refuses(ValueError, r"learn-basis expects .*-1", LearnBasis, out=tmp_path / "a.safetensors", **{field: -1})
