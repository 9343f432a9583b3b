"""A trained network as one file."""

import pytest
import torch
from safetensors.torch import save_file

from orbitconv.bases import load_basis, save_basis
from orbitconv.experiments.training import Network, TrainConfig, build_network, load_trained, read_trained
from orbitconv.experiments.training.networks import write_trained
from orbitconv.experiments.training.state import weights_of

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
    with pytest.raises(ValueError, match="is damaged: its numbers are not those that were written"):
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
