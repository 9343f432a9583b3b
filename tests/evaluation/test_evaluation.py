"""A trained network on test images, upright and turned."""

import json

import pytest
import torch

import tiny_training as tiny
from orbitconv.data import rotated
from orbitconv.data.rotation import TEST_SEED
from orbitconv.evaluation.evaluation import Evaluation, evaluate_network
from orbitconv.evaluation.network_facts import layers_record
from orbitconv.train import Network, TrainConfig, build_network
from orbitconv.train.engine.state import weights_of
from orbitconv.train.networks import write_trained

pytestmark = pytest.mark.usefixtures("tiny_by_name")

CLASSES = ("left", "right")


def saved(folder, basis="none", classes=CLASSES, channels=1):
    config = TrainConfig(data="tiny", seed=5, network=Network(model="small", basis=basis, options={"width": 4}))
    network = build_network(config.network, channels, len(classes)).eval()
    if channels == 1:  # near its mean score a network has something to decide
        (*_, last) = (module for module in network.modules() if isinstance(module, torch.nn.Linear))
        last.bias.data -= network(tiny.tiny_images("test").floats()).mean(0).detach()
    write_trained(folder / "model.safetensors", weights_of(network), config, channels, classes, (8, 8))
    return network


def naive_error(network, images, labels):
    wrong = 0
    for image, label in zip(images, labels, strict=True):
        wrong += int(network(image[None]).argmax()) != int(label)
    return 100 * wrong / len(labels)


def test_errors_are_those_of_a_naive_loop(tmp_path):
    network, images = saved(tmp_path), tiny.tiny_images("test")
    config = Evaluation(angles=(0, 90, 180, 270, 30), device="cpu")
    record = evaluate_network(tmp_path, config)
    found = {(row["test"], row["degrees"]): row["test_error_percent"] for row in record.rows}
    assert found["upright", None] == naive_error(network, images.floats(), images.labels)
    for k in range(4):
        turned = torch.rot90(images.floats(), k, (-2, -1))
        assert found["angle", 90 * k] == naive_error(network, turned, images.labels)
    for key, turned in (("angle", 30), rotated(images, degrees=30)), (("rotated", None), rotated(images, TEST_SEED)):
        assert found[key] == naive_error(network, turned.images, images.labels)
    assert found["angle", 90] != found["angle", 270]  # else the sense of the turn is not tested
    assert {row["family"] for row in record.rows} == {"plain"}
    assert {(row["seed"], row["train"], row["group"], row["kernel"]) for row in record.rows} == {(5, "tiny", "c1", 3)}


def test_turned_copies_are_asked_about_too(tmp_path):
    network, images = saved(tmp_path), tiny.tiny_images("test")
    config = Evaluation(copies=4, angles=(), device="cpu")
    upright = evaluate_network(tmp_path, config).rows[0]
    with torch.no_grad():
        scores = sum(network(torch.rot90(images.floats(), k, (-2, -1))).softmax(1) for k in range(4))
    assert upright["test_error_percent"] == 100 * float((scores.argmax(1) != images.labels).double().mean())
    assert upright["test_error_percent"] != naive_error(network, images.floats(), images.labels)
    with pytest.raises(ValueError, match="copies"):
        Evaluation(copies=0)


def test_layers_of_exact_filters_have_no_error_and_those_of_plain_ones_do(tmp_path):
    images = tiny.tiny_images("test").take(4).floats(torch.float64)
    exact, plain = (layers_record(saved(tmp_path, basis), images) for basis in ("exact-c4", "none"))
    assert (exact["group"], plain["group"], exact["images"]) == ("c4", "c8", 4)
    assert max(layer["worst"] for layer in exact["layers"]) < 1e-12
    assert max(layer["mean"] for layer in plain["layers"]) > 0.1
    assert all(len(layer["errors"]) == 4 for layer in exact["layers"])


def test_the_record_holds_the_layers_and_the_command_that_made_it(tmp_path):
    saved(tmp_path, "exact-c4")
    config = Evaluation(test_images=10, angles=(90,), layers=True, layer_images=3, device="cpu")
    record = evaluate_network(tmp_path, config)
    record.write(tmp_path / "record.json")
    found = json.loads((tmp_path / "record.json").read_text())
    assert found["command"].startswith(f"orbitconv evaluate {tmp_path} --test-images 10 --angles 90 --layers")
    assert found["equivariance"]["images"] == 3
    assert [row["test"] for row in found["rows"]] == ["upright", "rotated", "angle"]
    assert found["rows"][0]["group"] == "c4"


def test_images_that_the_network_knows_nothing_about_are_refused(tmp_path):
    saved(tmp_path, classes=("cat", "dog"))
    with pytest.raises(ValueError, match=r"knows the classes cat, dog; those of tiny are left, right"):
        evaluate_network(tmp_path, Evaluation(device="cpu"))
    saved(tmp_path, channels=3)
    with pytest.raises(ValueError, match=r"takes images of 3 channels; those of tiny have 1"):
        evaluate_network(tmp_path, Evaluation(device="cpu"))
