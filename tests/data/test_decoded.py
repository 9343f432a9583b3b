"""Decoded pictures, against the files they were decoded from."""

import numpy as np
import pytest
import torch

from orbitconv.data import DataError, folder
from raising import refuses

image_module = pytest.importorskip("PIL.Image")
fits = pytest.importorskip("astropy.io.fits")


@pytest.fixture
def pictures(tmp_path):
    """Pictures of two sizes beside masks, some without data in places."""
    rng = np.random.default_rng(0)
    for part, n in (("train", 3), ("test", 2)):
        for name in ("images", "masks"):
            (tmp_path / f"data/{part}/{name}").mkdir(parents=True)
        for i in range(n):
            pixels = rng.normal(size=(20 + i, 30)).astype(np.float32)
            pixels[4, 5] = np.nan if i else 0
            fits.PrimaryHDU(pixels).writeto(tmp_path / f"data/{part}/images/{i}.fits")
            mask = rng.integers(0, 400, pixels.shape).astype(np.uint16)
            image_module.fromarray(mask).save(tmp_path / f"data/{part}/masks/{i}.png")
    return tmp_path / "data"


def test_decoded_pictures_windows_and_masks_are_those_of_the_files(pictures, tmp_path):
    plain, cached = folder(pictures, window=8), folder(pictures, window=8, cache=tmp_path / "cache")
    for split in ("train", "test"):
        for i in range(len(plain.split(split))):
            for draw in [(i, seed) for seed in range(3)]:
                torch.testing.assert_close(plain.split(split)[draw], cached.split(split)[draw], rtol=0, atol=0)
            torch.testing.assert_close(plain.split(split).numbered(i), cached.split(split).numbered(i))


def test_pictures_are_decoded_once_and_anew_after_a_change(pictures, tmp_path):
    calls = []

    def count(what, done, total):
        calls.append(what)

    folder(pictures, cache=tmp_path / "cache", progress=count)
    assert calls.count("decoded pictures") == 5
    calls.clear()
    folder(pictures, cache=tmp_path / "cache", progress=count)
    assert "decoded pictures" not in calls
    path = pictures / "test/images/0.fits"
    path.unlink()
    fits.PrimaryHDU(np.zeros((20, 30), np.float32)).writeto(path)
    data = folder(pictures, cache=tmp_path / "cache", progress=count)
    assert calls.count("decoded pictures") == 5
    assert data.test.picture(0).pixels.max() == 0


def test_a_failed_decoding_leaves_nothing_and_a_damaged_cache_is_refused(pictures, tmp_path, monkeypatch):
    def full(*arguments):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("orbitconv.data.folders.decoded.write_atomically", full)
        refuses(DataError, "No space left", folder, pictures, cache=tmp_path / "cache")
    assert not [path for path in (tmp_path / "cache").iterdir() if path.is_dir()]
    folder(pictures, cache=tmp_path / "cache")
    (made,) = (path for path in (tmp_path / "cache").iterdir() if path.is_dir())
    (made / "pixels.bin").write_bytes(b"short")
    refuses(DataError, r"damaged.*Remove it", folder, pictures, cache=tmp_path / "cache")


def test_workers_give_the_batches_of_one_process(pictures, tmp_path):
    data = folder(pictures, window=8, cache=tmp_path / "cache")
    alone, shared = data.loader("train", 1, seed=4), data.loader("train", 1, seed=4, workers=2)
    for _ in range(2):
        torch.testing.assert_close(list(alone), list(shared), rtol=0, atol=0)
