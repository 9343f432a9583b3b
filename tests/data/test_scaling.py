"""How the numbers of files become floats."""

import json

import numpy as np
import pytest
import torch

from orbitconv.data import Scaling
from orbitconv.data.formats import Picture
from orbitconv.data.formats.opened import kind_of
from raising import refuses

RNG = np.random.default_rng(0)


def picture(dtype, *shape, bits=None, valid=None):
    facts = np.dtype(dtype)
    pixels = (
        RNG.integers(*np.array(kind_of(facts, bits)[1]) // 2, shape) if facts.kind in "iu" else RNG.normal(size=shape)
    )
    kind, limits = kind_of(facts, bits)
    return Picture(pixels=pixels.astype(dtype), kind=kind, limits=limits, valid=valid)


@pytest.mark.parametrize(("dtype", "bits", "black", "white"), [
    ("u1", None, 0, 255), ("u2", None, 0, 65535), ("u2", 12, 0, 4095), ("i2", None, -32768, 32767),
    ("u4", None, 0, 2**32 - 1), ("i1", None, -128, 127), ("f4", None, 0, 1),
])  # fmt: skip
def test_the_range_of_a_type_becomes_0_to_1(dtype, bits, black, white):
    one = picture(dtype, 2, 5, 7, bits=bits)
    scaling = Scaling.by_type(one.kind, one.limits, 2)
    expected = (one.pixels.astype(np.float64) - black) / (white - black)
    np.testing.assert_allclose(scaling.floats(one).numpy(), expected, atol=2e-7, rtol=2e-7)


def test_bytes_and_16_bits_of_one_picture_get_one_brightness_by_type():
    shallow = picture("u1", 1, 5, 7)
    deep = Picture(pixels=shallow.pixels.astype(np.uint16) * 257, kind="uint16", limits=(0, 65535))
    scaling = Scaling.by_type("uint8", (0, 255), 1)
    torch.testing.assert_close(scaling.floats(deep), scaling.floats(shallow), atol=1e-6, rtol=0)


def test_percentiles_are_those_of_numpy_over_valid_pixels_of_all_pictures():
    valid = RNG.random((20, 30)) > 0.2
    pictures = [picture("f4", 3, 20, 30, valid=valid), picture("f4", 3, 20, 30)]
    numbers = np.concatenate([pictures[0].pixels[:, valid], pictures[1].pixels.reshape(3, -1)], 1)
    low, high = np.percentile(numbers, [1, 98], axis=1)
    scaling = Scaling.by_percentiles(pictures, low=1, high=98)
    expected = (pictures[1].pixels - low[:, None, None]) / (high - low)[:, None, None]
    np.testing.assert_allclose(scaling.floats(pictures[1]).numpy(), expected, rtol=1e-5, atol=1e-6)
    assert (scaling.floats(pictures[0])[:, ~torch.from_numpy(valid)] == 0).all()


def test_a_file_is_scaled_by_its_own_range_if_asked():
    floats = Scaling.by_file("float32", 2).floats(picture("f4", 2, 5, 7))
    assert (floats.min(), floats.max()) == (0, pytest.approx(1))


def test_channels_of_one_value_alone_are_not_divided_by_zero():
    flat = Picture(pixels=np.full((1, 4, 4), 7, np.uint16), kind="uint16", limits=(0, 65535))
    for scaling in (Scaling.by_percentiles([flat]), Scaling.by_file("uint16", 1)):
        assert not scaling.floats(flat).any()


@pytest.mark.parametrize("rule", ["type", "file", "percentiles", "fixed"])
def test_json_keeps_everything_and_tensors_are_scaled_as_pictures_are(rule):
    one = picture("u2", 3, 5, 7)
    scaling = {
        "type": Scaling.by_type("uint16", (0, 65535), 3),
        "file": Scaling.by_file("uint16", 3),
        "percentiles": Scaling.by_percentiles([one]),
        "fixed": Scaling.fixed("uint16", (3, 4, 5), (0.1, 0.2, 0.3)),
    }[rule]
    again = Scaling.from_json(json.loads(json.dumps(scaling.to_json())))
    assert again == scaling
    as_tensor = again.apply(torch.from_numpy(one.pixels.astype(np.float64))[None])[0]
    np.testing.assert_allclose(scaling.floats(one).numpy(), as_tensor.numpy(), rtol=1e-6, atol=1e-6)


def test_wrong_numbers_are_refused():
    with pytest.raises(ValueError, match="expects 3 channels, got 1"):
        Scaling.by_type("uint8", (0, 255), 3).floats(picture("u1", 1, 5, 7))
    refuses(ValueError, "finite", lambda: Scaling.fixed("uint8", (float("nan"),), (1.0,)))
    refuses(ValueError, "an offset and a scale for each channel, got 2 and 1", Scaling.fixed, "uint8", (0, 0), (1,))
    refuses(ValueError, "expects rule, kind, offset and scale", Scaling.from_json, {"rule": "type"})
