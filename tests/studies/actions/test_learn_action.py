"""Learning transformations from pictures, from the settings to the files."""

import json

import numpy as np
import pytest
import torch

from orbitconv.learn import read_action
from studies.actions.learn_action import LearnAction, learn_action, write_action
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
