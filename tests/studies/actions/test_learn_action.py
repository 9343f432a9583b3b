"""Learning transformations from pictures, from the settings to the files."""

import json
import math

import numpy as np
import pytest
import torch

from orbitconv.learn import read_action
from references import smooth_images
from studies.actions.learn_action import LearnAction, learn_action, write_action
from studies.actions.pairs import action_images, shift_randomly, windows
from studies.actions.transformations import find_transformation
from transformations import matrix_of, relative

IMAGE = pytest.importorskip("PIL.Image")


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """Five coloured pictures of smooth noise, 320 pixels a side: room for 25 tiles each."""
    folder = tmp_path_factory.mktemp("pictures")
    random = np.random.default_rng(0)
    for index in range(5):
        noise = random.normal(size=(320, 320, 3)).cumsum(0).cumsum(1)
        noise = (noise - noise.min()) / (noise.max() - noise.min()) + 0.1 * random.normal(size=noise.shape)
        IMAGE.fromarray((255 * noise.clip(0, 1)).astype(np.uint8)).save(folder / f"{index}.png")
    return folder


def settings(pictures, **changes):
    options = {"transform": "shift-x", "data": str(pictures), "pairs": 100, "held_out": 20, "patch": 6}
    return LearnAction(**options | changes)


def test_shifts_of_scrambled_windows_are_found(pictures):
    result = learn_action(settings(pictures, permute=5, order=6))
    expected = matrix_of(lambda x: x.roll(1, -1), (1, 6, 6))
    assert relative(result.matrix(), expected) < 1e-9
    assert relative(result.action.matrix, expected) > 1
    assert result.group is not None
    facts = result.facts
    assert (facts["features"], facts["rank"], facts["data"], facts["order"]) == (36, 36, "pictures", 6)
    assert max(facts["error"], facts["norm_error"], facts["closure_error"]) < 1e-9
    assert facts["error_of_doing_nothing"] > 0.05
    assert result.notes == ()
    images = torch.rand(3, 1, 6, 6, dtype=torch.float64)
    torch.testing.assert_close(result.apply(images, 2), images.roll(2, -1), rtol=0, atol=1e-8)


def test_hue_is_learned_on_pixels_and_applies_to_whole_images(pictures):
    result = learn_action(settings(pictures, transform="hue", patch=None, order=12))
    assert result.action.feature_shape == (3, 1, 1)
    images = torch.rand(2, 3, 5, 7, dtype=torch.float64)
    torch.testing.assert_close(result.apply(images), find_transformation("hue")(images), rtol=0, atol=1e-9)
    assert result.shown.shape[1:] == (3, 32, 32)


def test_what_cannot_keep_norms_says_so_and_least_squares_finds_it(pictures):
    unitary = learn_action(settings(pictures, transform="learnt_dimming:dim"))
    assert unitary.facts["error"] > 0.3
    assert any("unitary=False" in note for note in unitary.notes)
    free = learn_action(settings(pictures, transform="learnt_dimming:dim", constraint="none"))
    assert free.facts["error"] < 1e-3
    assert free.notes == ()


@pytest.fixture(autouse=True)
def dimming(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "learnt_dimming.py").write_text(
        "def dim(x):\n    return 0.5 * x.flip(-1)\n\ndef upside_down(image):\n    return image.flip(0)\n"
    )


def test_a_group_that_does_not_close_is_a_note_and_not_an_error(pictures):
    result = learn_action(settings(pictures, transform="shift-x-zero", order=5))
    assert result.group is None
    assert result.facts["closure_error"] is None
    assert "not closed" in result.notes[-1]


def test_files_and_record_say_what_was_learned(pictures, tmp_path):
    config = settings(pictures, permute=5, order=6)
    result = learn_action(config)
    record = write_action(result, config, tmp_path).as_dict()
    action, known = read_action(tmp_path / "action.safetensors")
    assert torch.equal(action.matrix, result.action.matrix)
    assert (known["transform"], known["data"], known["permute"], known["order"]) == ("shift-x", "pictures", 5, 6)
    assert relative(torch.linalg.matrix_power(known["closed"], 6), torch.eye(36).double()) < 1e-12
    assert record["rows"] == [result.facts]
    assert "--permute 5 --order 6 --patch 6" in record["command"]
    assert str(pictures) not in json.dumps(record)


def test_windows_and_shifts_are_those_of_the_images():
    images = smooth_images()[:6]
    cut = windows(images, 9, torch.Generator().manual_seed(0))
    for window, image in zip(cut, images, strict=True):
        patches = image.unfold(1, 9, 1).unfold(2, 9, 1)[0].reshape(-1, 9, 9)
        assert (patches == window).flatten(1).all(1).sum() == 1
    shifted = shift_randomly(images, torch.Generator().manual_seed(0))
    for moved, image in zip(shifted, images, strict=True):
        assert any(torch.equal(moved, image.roll((a, b), (1, 2))) for a in range(24) for b in range(24))
    assert not torch.equal(shifted, images)


def test_held_out_tiles_are_others(pictures):
    first, second = action_images(str(pictures), (90, 30))
    assert (first.shape, second.shape) == ((90, 1, 32, 32), (30, 1, 32, 32))
    assert torch.cdist(first.flatten(1), second.flatten(1)).min() > 0.1
    colours, _ = action_images(str(pictures), (90, 30), color=True)
    assert colours.shape == (90, 3, 32, 32)
    assert math.isclose(float(colours.mean()), float(first.mean()), rel_tol=0.2)
