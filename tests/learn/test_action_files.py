"""Learned actions as files: the same numbers back, and no damaged file taken for a whole one."""

import pytest
import torch

from orbitconv._support.saved import read_saved, write_saved
from orbitconv.bases import HarmonicBasis, save_basis
from orbitconv.groups import Cyclic
from orbitconv.learn import close_group, fit_action, read_action, save_action
from raising import refuses
from transformations import correlated_images


@pytest.fixture
def action():
    images = correlated_images()
    return fit_action((images, images.roll(1, -1)))


@pytest.fixture
def path(tmp_path):
    return tmp_path / "action.safetensors"


def test_an_action_reloads_to_the_same_numbers(action, path):
    closed = close_group([action], [8]).generators[0]
    save_action(action, path, closed=closed, transform="shift-x", order=8)
    again, known = read_action(path)
    for name in ("matrix", "confidence", "directions", "coverage"):
        assert torch.equal(getattr(again, name), getattr(action, name))
    for name in ("feature_shape", "rank", "error", "norm_error", "num_pairs", "unitary"):
        assert getattr(again, name) == getattr(action, name)
    assert torch.equal(known["closed"], closed)
    assert (known["transform"], known["order"]) == ("shift-x", 8)
    images = torch.randn(2, 8, 8)
    assert torch.equal(again.apply(images), action.apply(images))


def test_what_json_or_a_file_cannot_hold_is_refused_and_nothing_written(action, path):
    with pytest.raises(ValueError, match="save_action expects metadata that JSON can hold"):
        save_action(action, path, transform=torch.roll)
    refuses(ValueError, r"closed generator of shape \(64, 64\)", save_action, action, path, closed=torch.eye(3))
    refuses(ValueError, "finite closed", lambda: save_action(action, path, closed=action.matrix * float("nan")))
    assert not path.exists()


@pytest.mark.parametrize(("described", "tensors", "words"), [
    ({"feature_shape": [4, 4]}, {}, "its matrix does not fit"),
    ({"feature_shape": 8}, {}, "does not describe an action"),
    ({"rank": 10**9}, {}, "its directions does not fit"),
    ({"unitary": None}, {}, "does not describe an action"),
    ({}, {"closed": torch.eye(3, dtype=torch.float64)}, "its closed does not fit"),
    ({}, {"matrix": torch.eye(64)}, "its matrix does not fit"),
    ({}, {"more": torch.eye(3)}, "does not describe an action"),
    ({}, {"coverage": torch.ones(64, dtype=torch.float64)}, "its coverage does not fit"),
])  # fmt: skip
def test_a_description_that_does_not_fit_the_tensors_is_refused(action, path, described, tensors, words):
    save_action(action, path)
    saved = read_saved(path, "action")
    write_saved(path, "action", saved.tensors | tensors, saved.description | described)
    refuses(ValueError, rf"action\.safetensors is damaged: .*{words}", read_action, path)


def test_swapped_tensors_are_refused(action, path):
    """Matrix and closed generator have one shape; the file's checksum covers their names."""
    save_action(action, path, closed=action.matrix.mT)
    content = path.read_bytes()
    path.write_bytes(
        content.replace(b'"closed"', b'"x"').replace(b'"matrix"', b'"closed"').replace(b'"x"', b'"matrix"')
    )
    refuses(ValueError, "is damaged: its checksum", read_action, path)


def test_files_of_another_kind_are_refused(path):
    save_basis(HarmonicBasis(Cyclic(8), 3), path)
    refuses(ValueError, "holds a saved basis, expected a saved action", read_action, path)
