"""Pictures of other numbers of channels, against Pillow."""

import numpy as np
import pytest

from orbitconv.data import DataError
from orbitconv.data.channels import with_channels
from orbitconv.data.formats import Picture

image_module = pytest.importorskip("PIL.Image")
RNG = np.random.default_rng(0)


def picture(pixels, **facts):
    return Picture(pixels=pixels, kind=pixels.dtype.name, limits=(0, np.iinfo(pixels.dtype).max), **facts)


def test_luminance_of_bytes_is_that_of_pillow_and_of_16_bits_is_as_near_as_can_be():
    pixels = RNG.integers(0, 256, (3, 9, 7), dtype=np.uint8)
    expected = np.asarray(image_module.fromarray(pixels.transpose(1, 2, 0)).convert("L"))
    np.testing.assert_array_equal(with_channels(picture(pixels), 1).pixels[0], expected)
    deep = pixels.astype(np.uint16) * 257
    wanted = np.tensordot([0.299, 0.587, 0.114], deep.astype(float), 1)
    np.testing.assert_allclose(with_channels(picture(deep), 1).pixels[0], wanted, atol=0.5)


@pytest.mark.parametrize("mode", ["RGBA", "CMYK"])
def test_opacity_and_ink_are_seen_as_pillow_sees_them(mode):
    pixels = RNG.integers(0, 256, (4, 9, 7), dtype=np.uint8)
    opened = image_module.merge(mode, [image_module.fromarray(band) for band in pixels])
    if mode == "RGBA":
        opened = image_module.alpha_composite(image_module.new("RGBA", opened.size, "white"), opened)
    expected = np.asarray(opened.convert("RGB")).transpose(2, 0, 1).astype(int)
    facts = {"alpha": True} if mode == "RGBA" else {"colours": "CMYK"}
    np.testing.assert_allclose(with_channels(picture(pixels, **facts), 3).pixels, expected, atol=1)


def test_four_bands_are_not_taken_for_colours_with_opacity():
    pixels = RNG.integers(0, 256, (4, 9, 7), dtype=np.uint8)
    np.testing.assert_array_equal(with_channels(picture(pixels), 4).pixels, pixels)
    with pytest.raises(DataError, match=r"x\.tif has 4 channels, of which 3 cannot be made. Ask for channels=4"):
        with_channels(picture(pixels), 3, "x.tif")


def test_grey_is_repeated():
    pixels = RNG.integers(0, 256, (1, 9, 7), dtype=np.uint8)
    np.testing.assert_array_equal(with_channels(picture(pixels), 3).pixels, pixels.repeat(3, 0))
