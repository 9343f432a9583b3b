"""Pictures of any size as grey tiles."""

import numpy as np
import pytest
import torch

from orbitconv.data import DataError, grey_tiles, pictures_in

image_module = pytest.importorskip("PIL.Image")


def write(path, pixels):
    path.parent.mkdir(parents=True, exist_ok=True)
    image_module.fromarray(pixels).save(path)
    return path


def test_tiles_without_smoothing_are_the_pixels_of_the_picture(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (70, 45), dtype=np.uint8)
    path = write(tmp_path / "a.png", pixels)
    tiles = torch.cat(list(grey_tiles([path], side=20, shrink=1, low_pass=0)))
    expected = [pixels[r : r + 20, c : c + 20] for r in (0, 20, 40) for c in (0, 20)]
    np.testing.assert_allclose(tiles[:, 0].numpy() * 255, expected, atol=1e-4)


def test_smoothing_is_that_of_scipy(tmp_path):
    ndimage = pytest.importorskip("scipy.ndimage")
    pixels = np.random.default_rng(0).integers(0, 256, (32, 32), dtype=np.uint8)
    (tile,) = grey_tiles([write(tmp_path / "a.png", pixels)], side=32, shrink=1, low_pass=0.5)
    expected = ndimage.gaussian_filter(pixels / 255, 0.5, mode="mirror", truncate=4)
    np.testing.assert_allclose(tile[0, 0].numpy(), expected, atol=1e-5)


def test_large_pictures_shrink_and_small_ones_do_not(tmp_path):
    large = write(tmp_path / "large.png", np.zeros((64, 96), dtype=np.uint8))
    small = write(tmp_path / "small.png", np.zeros((32, 40), dtype=np.uint8))
    assert [len(batch) for batch in grey_tiles([large, small], side=32, shrink=2)] == [1, 1]


def test_colours_become_luminance(tmp_path):
    path = write(tmp_path / "red.png", np.full((8, 8, 3), (255, 0, 0), dtype=np.uint8))
    (tile,) = grey_tiles([path], side=8, shrink=1)
    assert tile.mean().item() == pytest.approx(0.299, abs=0.002)


def test_a_folder_is_searched_to_its_end(tmp_path):
    for name in ("b.png", "deep/a.JPG"):
        write(tmp_path / name, np.zeros((4, 4), dtype=np.uint8))
    (tmp_path / "notes.txt").write_text("no picture")
    assert [p.relative_to(tmp_path).as_posix() for p in pictures_in(tmp_path)] == ["b.png", "deep/a.JPG"]


def test_missing_empty_damaged_and_small_are_refused(tmp_path):
    with pytest.raises(DataError, match="no folder"):
        pictures_in(tmp_path / "missing")
    with pytest.raises(DataError, match="no pictures"):
        pictures_in(tmp_path)
    (tmp_path / "broken.png").write_bytes(b"\x89PNG broken")
    with pytest.raises(DataError, match=r"broken\.png cannot be read"):
        list(grey_tiles([tmp_path / "broken.png"]))
    small = write(tmp_path / "small.png", np.zeros((10, 200), dtype=np.uint8))
    with pytest.raises(DataError, match="96x96 pixels"):
        list(grey_tiles([small]))
