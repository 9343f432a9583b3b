"""Learned actions as files: the same numbers back, and no damaged file taken for a whole one."""

import json
import struct

import pytest
import torch

from orbitconv.bases import HarmonicBasis, save_basis
from orbitconv.groups import Cyclic
from orbitconv.learn import close_group, fit_action, read_action, save_action
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


def test_any_safetensors_library_opens_the_file(action, path):
    library = pytest.importorskip("safetensors.torch")
    save_action(action, path)
    tensors = library.load_file(path)
    assert set(tensors) == {"matrix", "confidence", "directions", "coverage"}
    assert torch.equal(tensors["matrix"], action.matrix)


def test_what_json_or_a_file_cannot_hold_is_refused_and_nothing_written(action, path):
    with pytest.raises(ValueError, match="save_action expects metadata that JSON can hold"):
        save_action(action, path, transform=torch.roll)
    with pytest.raises(ValueError, match=r"closed generator of shape \(64, 64\)"):
        save_action(action, path, closed=torch.eye(3))
    with pytest.raises(ValueError, match="finite closed"):
        save_action(action, path, closed=action.matrix * float("nan"))
    assert not path.exists()


def altered(content, how):
    (length,) = struct.unpack("<Q", content[:8])
    if how == "truncated":
        return content[:-8]
    if how == "flipped":
        return content[:-3] + bytes([content[-3] ^ 1]) + content[-2:]
    if how == "head":
        return content[:20]
    header = json.loads(content[8 : 8 + length])
    if how == "version":
        header["__metadata__"]["version"] = "99"
    elif how == "no matrix":
        header["other"] = header.pop("matrix")
    elif how == "description":
        header["__metadata__"]["action"] = header["__metadata__"]["action"].replace("true", "false")
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + content[8 + length :]


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ("truncated", "is truncated"), ("flipped", "is damaged"), ("head", "no action file"), ("version", "version 99"),
        ("no matrix", "is damaged"), ("description", "is damaged"),
    ],
)  # fmt: skip
def test_damaged_files_are_refused_by_name(action, path, how, words):
    save_action(action, path)
    path.write_bytes(altered(path.read_bytes(), how))
    with pytest.raises(ValueError, match=rf"action\.safetensors.*{words}"):
        read_action(path)


def test_files_of_another_kind_are_refused(path):
    save_basis(HarmonicBasis(Cyclic(8), 3), path)
    with pytest.raises(ValueError, match=r"no action file.*'orbitconv-basis'"):
        read_action(path)
