"""A trained network as one file."""

import hashlib

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from orbitconv.bases import load_basis, save_basis
from orbitconv.train import Network, TrainConfig, build_network, load_trained, read_trained
from orbitconv.train.engine.state import weights_of
from orbitconv.train.networks import write_trained

OPTIONS = {"width": 2}


@pytest.mark.parametrize("basis", ["none", "spectral-c8-k3", "exact-c4", "harmonic-d8", "gaussian-c6", "file"])
def test_a_trained_network_comes_back_from_its_file_alone(tmp_path, basis):
    path = tmp_path / "basis.safetensors"
    if basis == "file":
        save_basis(load_basis("spectral-c8-k3-d4"), path)
        basis = str(path)
    config = TrainConfig(network=Network(model="small", basis=basis, options=OPTIONS))
    network = build_network(config.network, 3, 5).eval()
    write_trained(tmp_path / "model.safetensors", weights_of(network), config, 3, tuple("abcde"))
    path.unlink(missing_ok=True)
    loaded, settings = load_trained(tmp_path)
    assert settings == config
    assert not loaded.training
    x = torch.rand(2, 3, 16, 16)
    assert torch.equal(loaded(x), network(x))


@pytest.mark.parametrize("image_size", [(12, 16), None])
def test_a_file_tells_what_the_images_of_its_network_are(tmp_path, image_size):
    config = TrainConfig(network=Network(basis="none", options=OPTIONS))
    path = tmp_path / "model.safetensors"
    write_trained(path, weights_of(build_network(config.network, 3, 2)), config, 3, ("x", "y"), image_size)
    found = read_trained(path)
    assert (found.config, found.classes, found.in_channels, found.image_size) == (config, ("x", "y"), 3, image_size)


def test_numbers_that_changed_in_the_file_are_noticed(tmp_path):
    config = TrainConfig(network=Network(basis="exact-c4", options=OPTIONS))
    path = tmp_path / "model.safetensors"
    write_trained(path, weights_of(build_network(config.network, 3, 2)), config, 3, ("x", "y"))
    content = bytearray(path.read_bytes())
    content[-50] ^= 1
    path.write_bytes(content)
    with pytest.raises(ValueError, match="is damaged: its head or its numbers are not those that were written"):
        read_trained(path)


@pytest.fixture
def written(tmp_path):
    """The file of a trained network with a basis of its own, its tensors and its head."""
    path, basis = tmp_path / "model.safetensors", tmp_path / "basis.safetensors"
    save_basis(load_basis("spectral-c8-k3-d4"), basis)
    config = TrainConfig(network=Network(basis=str(basis), options=OPTIONS))
    write_trained(path, weights_of(build_network(config.network, 3, 2)), config, 3, ("x", "y"), (12, 16))
    with safe_open(path, framework="pt") as file:
        return path, load_file(path), file.metadata()


# Each is well-formed: nothing but the checksum tells that it is not what was written.
CHANGES = {
    "classes": '["y", "x"]', "in_channels": "1", "image_size": "[16, 12]", "group": "D4", "sha256": "0", "version": "1",
}  # fmt: skip


@pytest.mark.parametrize("name", [*CHANGES, "config"])
def test_a_head_that_changed_is_noticed(written, name):
    path, tensors, head = written
    changed = head["config"].replace('"width": 2', '"width": 3') if name == "config" else CHANGES[name]
    assert changed != head[name]
    save_file(tensors, path, head | {name: changed})
    with pytest.raises(ValueError, match=r"is damaged: its .*numbers are not those that were written\. Copy the file"):
        read_trained(path)
    if name not in {"version", "config", "in_channels", "classes"}:
        save_file(tensors, path, {key: value for key, value in head.items() if key != name})
        with pytest.raises(ValueError, match="is damaged: its head or its numbers are not those that were written"):
            read_trained(path)
    save_file(tensors, path, head)
    assert read_trained(path).classes == ("x", "y")


def older(head, tensors):
    """The head as version 1 wrote it, with a checksum of the tensors alone."""
    digest = hashlib.sha256()
    for name in sorted(tensors):
        digest.update(f"{name} {tensors[name].dtype} {tuple(tensors[name].shape)}".encode())
        digest.update(tensors[name].numpy().tobytes())
    return head | {"version": "1", "sha256": digest.hexdigest()}


def test_files_of_version_1_are_read_with_and_without_their_checksum(written):
    path, tensors, head = written
    x, expected = torch.rand(2, 3, 16, 12), read_trained(path)
    first = older(head, tensors)
    for facts in (first, {name: value for name, value in first.items() if name != "sha256"}):
        save_file(tensors, path, facts)
        found = read_trained(path)
        assert (found.config, found.classes, found.image_size) == (expected.config, ("x", "y"), (12, 16))
        assert torch.equal(found.network(x), expected.network(x))
    save_file(tensors | {"basis": -tensors["basis"]}, path, first)
    with pytest.raises(ValueError, match="is damaged: its numbers are not those that were written"):
        read_trained(path)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("version", "x", "version as a number of one or more, got 'x'"),
        ("in_channels", "x", "in_channels as a number of one or more, got 'x'"),
        ("in_channels", "0", "in_channels as a number of one or more, got '0'"),
        ("image_size", "[8]", r"image_size as height and width in pixels, got '\[8\]'"),
        ("image_size", "[8, 0]", "image_size as height and width in pixels"),
        ("image_size", '["8", "8"]', "image_size as height and width in pixels"),
        ("image_size", "8", "image_size as height and width in pixels"),
        ("classes", "x", "classes as a list of names, got 'x'"),
        ("classes", "[]", "classes as a list of names"),
        ("classes", '"xy"', "classes as a list of names"),
        ("classes", "[1, 2]", "classes as a list of names"),
        ("group", "E8", "group as the group of the basis that is in the file, such as C8, got 'E8'"),
        ("group", None, "group as the group of the basis that is in the file, such as C8, got None"),
        ("config", "{", "The head of .*model.safetensors is no configuration of a training: .*Invalid JSON"),
    ],
)
def test_a_head_that_makes_no_sense_is_refused_by_name_in_files_of_version_1(written, name, value, message):
    path, tensors, head = written
    facts = older(head, tensors) | {name: value}
    save_file(tensors, path, {key: value for key, value in facts.items() if value is not None})
    with pytest.raises(ValueError, match=message):
        read_trained(path)


def test_files_that_hold_no_trained_network_are_refused(tmp_path):
    path = tmp_path / "model.safetensors"
    with pytest.raises(FileNotFoundError, match="--resume"):
        load_trained(tmp_path)
    save_file({"a": torch.zeros(1)}, path)
    with pytest.raises(ValueError, match="is no trained network: its format is None"):
        load_trained(path)
    save_file({"a": torch.zeros(1)}, path, {"format": "orbitconv network", "version": "1"})
    with pytest.raises(ValueError, match="is damaged: its head names no config, in_channels, classes"):
        load_trained(path)
    config = TrainConfig(network=Network(basis="none", options=OPTIONS))
    write_trained(path, {"a": torch.zeros(1)}, config, 1, ("x", "y"))
    with pytest.raises(ValueError, match="does not hold the weights"):
        load_trained(path)
    path.write_bytes(path.read_bytes()[:-2])
    with pytest.raises(ValueError, match="is damaged, or no safetensors file"):
        load_trained(path)
