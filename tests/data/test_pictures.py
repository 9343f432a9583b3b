"""Pictures of any size as grey tiles."""

import numpy as np
import pytest
import torch

from orbitconv.data import DataError, Skipped, grey_tiles, pictures_in
from raising import refuses

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
    refuses(DataError, "no folder", pictures_in, tmp_path / "missing")
    refuses(DataError, "no pictures", pictures_in, tmp_path)
    (tmp_path / "broken.png").write_bytes(b"\x89PNG broken")
    refuses(DataError, r"broken\.png cannot be read", lambda: list(grey_tiles([tmp_path / "broken.png"])))
    small = write(tmp_path / "small.png", np.zeros((10, 200), dtype=np.uint8))
    refuses(DataError, "96x96 pixels", lambda: list(grey_tiles([small])))


@pytest.fixture
def photograph():
    """Smooth grey values that reach 0 and 1."""
    rows, cols = np.mgrid[:40, :60] / 40
    waves = np.sin(7 * rows + 3 * cols) + np.cos(11 * rows * cols)
    return (waves - waves.min()) / (waves.max() - waves.min())


@pytest.mark.parametrize("shrink", [1, 2])
def test_the_depth_of_a_picture_does_not_show(tmp_path, photograph, shrink):
    deep = np.round(photograph * 65535)
    signed = deep.astype(np.int32)
    variants = {
        "sixteen.png": deep.astype(np.uint16),
        "sixteen.tif": deep.astype(np.uint16),
        "big-endian.tif": deep.astype(">u2"),
        "integers.tif": signed,
        "large-integers.tif": signed * 30000,
        "negative-integers.tif": signed - 40000,
        "floats.tif": photograph.astype(np.float32),
        "large-floats.tif": (photograph * 5e6 - 1e6).astype(np.float32),
    }
    bytes_ = write(tmp_path / "bytes.png", np.round(photograph * 255).astype(np.uint8))
    (expected,) = grey_tiles([bytes_], side=20, shrink=shrink)
    if shrink == 1:  # what NumPy says, without Pillow
        (raw,) = grey_tiles([write(tmp_path / "raw.png", variants["sixteen.png"])], side=40, shrink=1, low_pass=0)
        np.testing.assert_allclose(raw[0, 0].numpy(), photograph[:, :40], atol=1e-5)
    modes = set()
    for name, pixels in variants.items():
        path = write(tmp_path / name, pixels)
        with image_module.open(path) as opened:
            modes.add(opened.mode)
        (tiles,) = grey_tiles([path], side=20, shrink=shrink)
        assert 0 <= tiles.min() <= tiles.max() <= 1
        np.testing.assert_allclose(tiles.numpy(), expected.numpy(), atol=0.006, err_msg=name)
    assert {"I;16", "I;16B", "I", "F"} <= modes


def test_shrinking_deep_pictures_does_not_overshoot(tmp_path):
    edge = np.zeros((32, 32), dtype=np.uint16)
    edge[:, 15:] = 65535
    (tile,) = grey_tiles([write(tmp_path / "edge.png", edge)], side=16, low_pass=0)
    assert 0 <= tile.min() <= tile.max() <= 1


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_floats_that_are_not_finite_are_refused_by_name(tmp_path, photograph, bad):
    pixels = photograph.astype(np.float32)
    pixels[3, 4] = bad
    with pytest.raises(DataError, match=r"hole\.tif holds 1 NaN or infinite pixels among 2400"):
        list(grey_tiles([write(tmp_path / "hole.tif", pixels)], side=20))


@pytest.mark.parametrize(("mode", "name"), [
    ("CMYK", "a.tif"), ("P", "a.png"), ("1", "a.png"), ("RGBA", "a.png"), ("LA", "a.png"), ("L", "a.gif"),
    ("PA", "a.tif"), ("YCbCr", "a.jpg"), ("RGB", "a.webp"),
])  # fmt: skip
def test_every_kind_of_picture_is_read(tmp_path, photograph, mode, name):
    grey = image_module.fromarray(np.round(photograph * 255).astype(np.uint8))
    grey.convert("RGB").convert(mode).save(tmp_path / name)
    (tiles,) = grey_tiles([tmp_path / name], side=20, low_pass=0, shrink=1)
    with image_module.open(tmp_path / name) as opened:
        stored = np.asarray(opened.convert("L")) / 255
    np.testing.assert_allclose(tiles[0, 0].numpy(), stored[:20, :20], atol=1e-6)
    assert abs(photograph[:20, :20].mean() - tiles[0].numpy().mean()) < 0.03
    if mode not in {"1", "P", "PA"}:  # those are dithered, and right on average
        np.testing.assert_allclose(stored, photograph, atol=0.06)


def test_large_pictures_pass_in_silence_and_those_beyond_the_limit_are_refused_by_name(tmp_path, monkeypatch):
    path = write(tmp_path / "vast.png", np.zeros((40, 60), dtype=np.uint8))
    monkeypatch.setattr(image_module, "MAX_IMAGE_PIXELS", 1300)  # warns above, refuses above twice as many
    assert len(list(grey_tiles([path], side=20))) == 1
    monkeypatch.setattr(image_module, "MAX_IMAGE_PIXELS", 1100)
    with pytest.raises(DataError, match=r"vast\.png has too many pixels .*2400 pixels.* Make it smaller or cut it"):
        list(grey_tiles([path], side=20))


@pytest.mark.parametrize("shape", [(1, 1), (2, 1), (1, 40), (2, 2), (3, 50)])
def test_pictures_of_few_pixels_are_left_out_and_said(tmp_path, shape):
    small = write(tmp_path / "small.png", np.zeros(shape, dtype=np.uint8))
    large = write(tmp_path / "large.png", np.zeros((40, 40), dtype=np.uint8))
    skipped = Skipped()
    assert sum(map(len, grey_tiles([small, large], side=20, shrink=1, skipped=skipped))) == 4
    assert str(skipped) == "1 of 2 pictures were left out: 1 smaller than 20x20 pixels (small.png)"


def test_tiles_of_one_pixel_are_smoothed_as_scipy_does(tmp_path):
    ndimage = pytest.importorskip("scipy.ndimage")
    pixels = np.array([[10, 200]], dtype=np.uint8)
    tiles = torch.cat(list(grey_tiles([write(tmp_path / "a.png", pixels)], side=1, shrink=1)))
    expected = ndimage.gaussian_filter(pixels / 255, 0.5, mode="mirror", truncate=4)
    np.testing.assert_allclose(tiles.flatten().numpy(), expected.flatten(), atol=1e-5)


def test_hidden_files_are_no_pictures(tmp_path):
    write(tmp_path / "a.png", np.zeros((4, 4), dtype=np.uint8))
    (tmp_path / "._a.png").write_bytes(b"\0\x05\x16\x07 of another system")
    assert [path.name for path in pictures_in(tmp_path)] == ["a.png"]


def test_unreadable_pictures_are_counted_by_reason_if_asked_and_refused_if_not(tmp_path):
    good = write(tmp_path / "good.png", np.zeros((8, 8), dtype=np.uint8))
    (tmp_path / "empty.png").touch()
    (tmp_path / "scan.nii").write_bytes(b"\x5c\x01\0\0")
    files, skipped = [tmp_path / "empty.png", good, tmp_path / "scan.nii"], Skipped()
    assert len(list(grey_tiles(files, side=8, skipped=skipped))) == 1
    assert str(skipped) == (
        "2 of 3 pictures were left out: 1 damaged (empty.png); 1 of a kind that is not read (scan.nii)"
    )
    refuses(DataError, r"empty\.png", lambda: list(grey_tiles(files, side=8)))


def test_the_first_pictures_of_a_seeded_order_are_of_all_folders(tmp_path):
    for name in [f"{folder}/{i}.png" for folder in "abc" for i in range(30)]:
        write(tmp_path / name, np.zeros((4, 4), dtype=np.uint8))
    order = pictures_in(tmp_path, seed=0)
    assert sorted(order) == pictures_in(tmp_path)
    assert {path.parent.name for path in order[:3]} == set("abc")
    assert order == pictures_in(tmp_path, seed=0) != pictures_in(tmp_path, seed=1)


def test_tiles_that_touch_missing_data_are_left_out(tmp_path):
    fits = pytest.importorskip("astropy.io.fits")
    pixels = np.random.default_rng(0).random((40, 60)).astype(np.float32)
    pixels[3, 4] = np.nan
    fits.PrimaryHDU(pixels).writeto(tmp_path / "a.fits")
    tiles = torch.cat(list(grey_tiles([tmp_path / "a.fits"], side=20, shrink=1, low_pass=0)))
    known = pixels[np.isfinite(pixels)]
    scaled = (pixels - known.min()) / (known.max() - known.min())
    expected = [scaled[r : r + 20, c : c + 20] for r, c in ((0, 20), (0, 40), (20, 0), (20, 20), (20, 40))]
    np.testing.assert_allclose(tiles[:, 0].numpy(), expected, atol=1e-6)


def test_one_negative_number_does_not_change_the_scale_of_16_bits(tmp_path):
    tifffile = pytest.importorskip("tifffile")
    pixels = np.random.default_rng(0).integers(0, 200, (8, 8)).astype(np.int16)
    means = []
    for least in (0, -1):
        pixels[0, 0] = least
        tifffile.imwrite(tmp_path / "a.tif", pixels)
        (tile,) = grey_tiles([tmp_path / "a.tif"], side=8, shrink=1, low_pass=0)
        means.append(tile.mean().item())
        np.testing.assert_allclose(tile[0, 0].numpy(), (pixels / 65535 + 32768 / 65535), atol=1e-6)
    assert means[0] == pytest.approx(means[1], abs=1e-5)


def test_a_flat_picture_of_floats_is_black(tmp_path):
    (tile,) = grey_tiles([write(tmp_path / "flat.tif", np.full((8, 8), 7, dtype=np.float32))], side=8, shrink=1)
    assert not tile.any()
