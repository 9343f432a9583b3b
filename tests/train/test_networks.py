"""A trained network as one file."""

import json
import struct
import time
import tracemalloc

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file

from orbitconv._support.saved import read_saved, write_saved
from orbitconv.bases import load_basis, save_basis
from orbitconv.models import MODELS
from orbitconv.train import Builder, Network, TrainConfig, build_network, load_trained, read_trained
from orbitconv.train.engine.state import weights_of
from orbitconv.train.networks import write_trained
from raising import refuses

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


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("basis", ["none", "spectral-c8-k3"])
def test_networks_whose_width_is_found_come_back(tmp_path, name, basis):
    """The search for the width builds many networks, larger ones among them: they are not taken for a forgery."""
    options = {"plain_width": 4, "width": "params"} | ({"last_kernel_size": 3} if name == "p4cnn" else {})
    config = TrainConfig(network=Network(model=name, basis=basis, options=options))
    network = build_network(config.network, 1, 2)
    write_trained(tmp_path / "model.safetensors", weights_of(network), config, 1, ("x", "y"))
    loaded, _ = load_trained(tmp_path)
    assert all(torch.equal(loaded.state_dict()[key], value) for key, value in network.state_dict().items())


@pytest.mark.parametrize("image_size", [(12, 16), None])
def test_a_file_tells_what_the_images_of_its_network_are(tmp_path, image_size):
    config = TrainConfig(network=Network(basis="none", options=OPTIONS))
    path = tmp_path / "model.safetensors"
    write_trained(path, weights_of(build_network(config.network, 3, 2)), config, 3, ("x", "y"), image_size)
    found = read_trained(path)
    assert (found.config, found.classes, found.in_channels, found.image_size) == (config, ("x", "y"), 3, image_size)


def test_the_safetensors_library_reads_the_weights(tmp_path):
    config = TrainConfig(network=Network(basis="spectral-c8-k3", options=OPTIONS))
    network, path = build_network(config.network, 3, 2), tmp_path / "model.safetensors"
    write_trained(path, weights_of(network), config, 3, ("x", "y"))
    found = load_file(path)
    assert all(torch.equal(found[f"network.{name}"], value) for name, value in network.state_dict().items())
    with safe_open(path, framework="pt") as file:
        assert json.loads(file.metadata()["description"])["classes"] == ["x", "y"]


@pytest.fixture
def written(tmp_path):
    """The file of a trained network with a basis of its own."""
    path, basis = tmp_path / "model.safetensors", tmp_path / "basis.safetensors"
    save_basis(load_basis("spectral-c8-k3-d4"), basis)
    config = TrainConfig(network=Network(basis=str(basis), options=OPTIONS))
    write_trained(path, weights_of(build_network(config.network, 3, 2)), config, 3, ("x", "y"), (12, 16))
    basis.unlink()
    return path


@pytest.mark.parametrize("change", ["weight", "classes", "names"])
def test_a_file_that_changed_is_refused(written, change):
    content = written.read_bytes()
    if change == "weight":
        content = content[:-50] + bytes([content[-50] ^ 1]) + content[-49:]
    elif change == "classes":
        content = content.replace(b'[\\"x\\", \\"y\\"]', b'[\\"y\\", \\"x\\"]')
    else:
        (length,) = struct.unpack("<Q", content[:8])
        header = json.loads(content[8 : 8 + length])
        one, other = sorted(name for name in header if header[name].get("shape") == [2] and "running" in name)[:2]
        header[one], header[other] = header[other], header[one]
        text = json.dumps(header).encode()
        content = struct.pack("<Q", len(text)) + text + content[8 + length :]
    assert content != written.read_bytes()
    written.write_bytes(content)
    refuses(ValueError, "is damaged: its checksum differs from the one it names", read_trained, written)


def forge(path, **changes):
    """A file with a right checksum and other entries in its description."""
    saved = read_saved(path, "network")
    described = {name: value for name, value in {**saved.description, **changes}.items() if value != "drop"}
    write_saved(path, "network", saved.tensors, described)


@pytest.mark.parametrize(("entry", "value", "words"), [
    ("in_channels", "x", r"invalid in_channels \(it expects in_channels"),
    ("in_channels", 0, r"invalid in_channels \(it expects in_channels"),
    ("in_channels", True, "invalid in_channels"),
    ("image_size", [8], r"invalid image_size \(expected height and width in pixels, got \[8\]"),
    ("image_size", [8, 0], "expected height and width in pixels"),
    ("image_size", ["8", "8"], "expected height and width in pixels"),
    ("image_size", 8, "expected height and width in pixels"),
    ("classes", "xy", "invalid classes .*expected a list of names, got 'xy'"),
    ("classes", [], "expected a list of names"),
    ("classes", [1, 2], "expected a list of names"),
    ("group", "E8", "invalid group .*got 'E8'"),
    ("group", [8], "invalid group"),
    ("config", {"seed": "x"}, "invalid config .*seed: "),
    ("config", 3, "invalid config"),
    ("task", {"name": "sorting"}, "invalid task .*There is no task named 'sorting'"),
    ("task", 3, "invalid task"),
    ("scaling", {}, "invalid scaling"),
    ("builder", {"function": "x"}, "invalid builder"),
])  # fmt: skip
def test_an_invalid_entry_of_the_description_is_refused_by_name(written, entry, value, words):
    forge(written, **{entry: value})
    refuses(ValueError, rf"model\.safetensors is damaged: its description has an .*{words}", read_trained, written)


@pytest.mark.parametrize("entry", ["classes", "config", "in_channels", "task", "group"])
def test_a_missing_entry_of_the_description_is_refused_by_name(written, entry):
    forge(written, **{entry: "drop"})
    refuses(ValueError, rf"model\.safetensors is damaged: its description lacks {entry}\.", read_trained, written)


NAMED = "exact-c4-k3"
FORGED = [
    {"options": {"depth": 10**9}, "model": "unet"},
    {"options": {"depth": 6 * 10**8 + 2}, "model": "resnet"},
    {"options": {"depth": 6 * 10**8 + 4}, "model": "wide-resnet"},
    {"options": {"widen": 10**9}, "model": "wide-resnet"},
    {"options": {"width": 10**18}},
    {"options": {"width": 1e18}},
    {"options": {"width": 4000}},
    {"options": {"plain_width": 10**9}},
    {"options": {"width": "params", "plain_width": 2000}},
    {"options": {"width": "params", "plain_width": 10**9}, "basis": NAMED},
    {"options": {"width": "compute", "plain_width": 1000}, "basis": NAMED},
    {"options": {"kernel_size": 10**6}},
    {"options": {"kernel_size": 501}, "basis": "exact-c4"},
    {"basis": "exact-c100000000-k3"},
    {"basis": "harmonic-d100000000"},
    {"basis": "gaussian-c8-k999"},
    {"basis": "exact-c5000-k3"},
]


def refused_at_once(path, words):
    """The refusal takes neither time nor memory."""
    tracemalloc.start()
    begun = time.process_time()
    refuses(ValueError, words, read_trained, path)
    assert time.process_time() - begun < 5
    assert tracemalloc.get_traced_memory()[1] < 2**27
    tracemalloc.stop()


@pytest.mark.parametrize("forged", FORGED, ids=str)
@pytest.mark.parametrize("by", ["settings", "builder"])
def test_a_forged_size_is_refused_before_anything_of_that_size_is_built(tmp_path, forged, by):
    path = tmp_path / "model.safetensors"
    config = TrainConfig(network=Network(model="small", basis="none", options=OPTIONS))
    write_trained(path, weights_of(build_network(config.network, 3, 2)), config, 3, ("x", "y"))
    settings = {"model": "small", "basis": "none", **forged}
    if by == "settings":
        forge(path, config={"network": settings})
    else:
        arguments = {"name": settings["model"], "basis": settings["basis"], **settings.get("options", {})}
        if arguments["basis"] == "none":
            arguments["basis"] = None
        forge(path, builder={"function": "orbitconv.models:build_model", "arguments": arguments})
    refused_at_once(path, r"model\.safetensors does not hold the weights of the network that it describes: ")


@pytest.mark.parametrize(
    "forged", [{"group": "C100000000"}, {"group": None}, {"group": "C4"}, {"in_channels": 10**12}], ids=str
)
def test_a_forged_group_or_number_of_channels_is_refused(written, forged):
    forge(written, **forged)
    refused_at_once(written, "does not hold the weights of the network")


def test_a_file_names_no_function_outside_the_models(written):
    for function in ("os:system", "orbitconv.learn:fit_action", "orbitconv:load_network"):
        forge(written, builder={"function": function, "arguments": {}})
        refuses(PermissionError, "which is not trusted", read_trained, written)


def test_a_builder_of_a_trusted_package_is_called_with_its_arguments(tmp_path):
    config, path = TrainConfig(), tmp_path / "model.safetensors"
    network = torch.nn.Linear(4, 2)
    builder = Builder("torch.nn:Linear", {"in_features": 4, "out_features": 2})
    write_trained(path, weights_of(network), config, 1, ("x", "y"), builder=builder)
    assert torch.equal(read_trained(path, ["torch"]).network.weight, network.weight)
    refuses(PermissionError, r"trusted=\['torch'\] \(--trust torch\)", read_trained, path)


def test_a_converted_network_comes_back_and_a_forged_conversion_is_refused(tmp_path):
    path, image = tmp_path / "model.safetensors", [1, 28, 28]
    arguments = {"name": "small", "basis": None, "plain_width": 8, "in_channels": 1, "num_classes": 2}
    builder = Builder("orbitconv.models:build_model", arguments, {"group": "c4", "image": image})
    network = builder.build().eval()
    write_trained(path, weights_of(network), TrainConfig(), 1, ("x", "y"), builder=builder)
    x = torch.rand(2, *image)
    assert torch.equal(read_trained(path).network(x), network(x))
    forged = {
        "function": builder.function,
        "arguments": arguments,
        "conversion": {"group": "c100000000", "image": image},
    }
    forge(path, builder=forged)
    refused_at_once(path, "the group c100000000 is too large")
    forge(path, builder={**forged, "conversion": {"group": "c4", "image": [1, 10**5, 10**5]}})
    refused_at_once(path, r"the image \[1, 100000, 100000\] is too large")


def test_files_that_hold_no_trained_network_are_refused(tmp_path):
    path = tmp_path / "model.safetensors"
    refuses(FileNotFoundError, "--resume", load_trained, tmp_path)
    save_basis(load_basis("spectral-c8-k3"), path)
    refuses(ValueError, "holds a saved basis, expected a saved network", load_trained, path)
    config = TrainConfig(network=Network(basis="none", options=OPTIONS))
    write_trained(path, {"a": torch.zeros(1)}, config, 1, ("x", "y"))
    refuses(ValueError, r"does not hold the weights .*17 tensors|differ in name or shape", load_trained, path)
    path.write_bytes(path.read_bytes()[:-2])
    refuses(ValueError, "is truncated", load_trained, path)
