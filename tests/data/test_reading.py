"""Pictures of every mode as numbers."""

import numpy as np
import pytest

from orbitconv.data import DataError
from orbitconv.data.reading import read_picture
from raising import refuses

image_module = pytest.importorskip("PIL.Image")

COLOURS = np.random.default_rng(0).integers(0, 256, (5, 7, 4), dtype=np.uint8)
WEIGHTS = np.array([0.299, 0.587, 0.114])


def saved(path, mode):
    """The colours as a file of one mode, and what a person sees there: red, green and blue from 0 to 1."""
    rgb, alpha = COLOURS[..., :3], COLOURS[..., 3:] / 255
    if mode == "RGB":
        picture, seen = image_module.fromarray(rgb), rgb / 255
    elif mode == "RGBA":
        picture, seen = image_module.fromarray(COLOURS), rgb / 255 * alpha + 1 - alpha
    elif mode == "L":
        picture, seen = image_module.fromarray(rgb[..., 0]), rgb[..., [0] * 3] / 255
    elif mode == "LA":
        picture = image_module.merge("LA", [image_module.fromarray(COLOURS[..., i]) for i in (0, 3)])
        seen = rgb[..., [0] * 3] / 255 * alpha + 1 - alpha
    elif mode == "P":
        palette = np.random.default_rng(1).integers(0, 256, (256, 3), dtype=np.uint8)
        picture, seen = image_module.fromarray(rgb[..., 0], "L"), palette[rgb[..., 0]] / 255
        picture.putpalette(palette.tobytes())
    elif mode == "1":
        picture, seen = image_module.fromarray(rgb[..., 0] > 127), (rgb[..., [0] * 3] > 127) * 1.0
    else:
        deep = rgb[..., 0].astype(np.uint16) * 255
        picture, seen = image_module.fromarray(deep), deep[..., None].repeat(3, 2) / 65535
    picture.save(path)
    return seen


@pytest.mark.filterwarnings("ignore:.*mode.*:DeprecationWarning")
@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "LA", "P", "1", "I;16"])
def test_every_mode_becomes_what_a_person_sees(tmp_path, mode):
    seen = saved(tmp_path / "a.png", mode)
    with image_module.open(tmp_path / "a.png") as opened:
        assert opened.mode == mode
    coloured, grey = (read_picture(tmp_path / "a.png", channels).numpy() for channels in (3, 1))
    np.testing.assert_allclose(coloured.transpose(1, 2, 0), seen, atol=1.01 / 255)
    np.testing.assert_allclose(grey[0], seen @ WEIGHTS, atol=1.51 / 255)


def test_pictures_are_upright_as_the_camera_says(tmp_path):
    facts = image_module.Exif()
    facts[0x0112] = 6  # turn by a quarter clockwise to see it upright
    image_module.fromarray(COLOURS[..., :3]).save(tmp_path / "a.png", exif=facts)
    expected = np.rot90(COLOURS[..., :3], -1) / 255
    np.testing.assert_allclose(read_picture(tmp_path / "a.png", 3).numpy().transpose(1, 2, 0), expected, atol=1e-6)


def test_what_is_no_picture_is_refused_by_name(tmp_path):
    (tmp_path / "a.png").write_text("no picture")
    refuses(DataError, r"a\.png cannot be read as a picture", read_picture, tmp_path / "a.png", 1)
    image_module.fromarray(COLOURS).save(tmp_path / "b.png")
    (tmp_path / "b.png").write_bytes((tmp_path / "b.png").read_bytes()[:-40])
    refuses(DataError, r"b\.png cannot be read as a picture", read_picture, tmp_path / "b.png", 3)
    refuses(ValueError, "one channel or three, got 2", read_picture, tmp_path / "b.png", 2)
