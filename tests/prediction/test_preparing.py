"""Pictures in the form of a network's images."""

import numpy as np
import pytest
import torch

from orbitconv.data import Scaling
from orbitconv.prediction.preparing import ImageForm, find_pictures, fit, prepare
from raising import refuses

image_module = pytest.importorskip("PIL.Image")


def test_a_picture_of_the_right_size_is_left_as_it_is():
    picture = torch.rand(3, 8, 6)
    assert torch.equal(fit(picture, (8, 6)), picture)


@pytest.mark.parametrize("side", [9, 40])
def test_resizing_is_that_of_pillow(side):
    rows, cols = np.mgrid[:24, :24] / 24
    picture = (0.5 + 0.4 * np.sin(9 * rows + 4 * cols * cols)).astype(np.float32)
    expected = np.asarray(image_module.fromarray(picture).resize((side, side), image_module.Resampling.BICUBIC))
    np.testing.assert_allclose(fit(torch.from_numpy(picture)[None], (side, side))[0].numpy(), expected, atol=1e-5)


@pytest.mark.parametrize("shape", [(12, 30), (30, 12)])
def test_the_middle_of_a_picture_of_other_proportions_is_used(shape):
    picture = torch.rand(1, *shape)
    middle = picture[:, :, 9:21] if shape[0] == 12 else picture[:, 9:21]
    assert torch.equal(fit(picture, (12, 12)), middle)
    torch.testing.assert_close(fit(picture, (6, 6)), fit(middle, (6, 6)), rtol=0, atol=0)


def test_fine_stripes_become_grey_and_not_other_stripes():
    stripes = (torch.arange(64) % 2).float().expand(1, 64, 64)
    assert (fit(stripes, (16, 16))[..., 2:-2] - 0.5).abs().max() < 0.02


def test_a_negative_is_inverted_and_the_size_in_the_file_is_told(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (4, 6, 3), dtype=np.uint8)
    image_module.fromarray(pixels).save(tmp_path / "a.png")
    image, size = prepare(tmp_path / "a.png", ImageForm(channels=3, height=4, width=6, invert=True))
    np.testing.assert_allclose(image.numpy().transpose(1, 2, 0), 1 - pixels / 255, atol=1e-6)
    assert size == (4, 6)
    with pytest.raises(ValueError, match="takes images of 2"):
        prepare(tmp_path / "a.png", ImageForm(channels=2, height=4, width=6))


def test_files_and_folders_are_found_in_their_order(tmp_path):
    for name in ("b/2.png", "b/1.jpg", "a.dat"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    found = find_pictures([tmp_path / "b", tmp_path / "a.dat"])
    assert [path.name for path in found] == ["1.jpg", "2.png", "a.dat"]
    refuses(FileNotFoundError, "missing is not there", find_pictures, [tmp_path / "missing"])
    refuses(ValueError, "got none", find_pictures, [])


def test_a_large_picture_is_resized_block_by_block_as_at_once(tmp_path, monkeypatch):
    rows, cols = np.mgrid[:403, :611] / 403
    pixels = 127 + 100 * np.sin(5 * rows[..., None] + 7 * cols[..., None] + np.arange(3))
    image_module.fromarray(pixels.astype(np.uint8)).save(tmp_path / "a.png")
    form = ImageForm(channels=3, height=16, width=24, scaling=Scaling.by_type("uint8", (0, 255), 3))
    whole, size = prepare(tmp_path / "a.png", form)
    monkeypatch.setattr("orbitconv.prediction.preparing._LARGE", 0)
    parts, same = prepare(tmp_path / "a.png", form)
    assert size == same == (403, 611)
    assert not torch.equal(parts, whole)  # else both were read at once
    torch.testing.assert_close(parts, whole, atol=0.02, rtol=0)
