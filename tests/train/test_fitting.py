"""Any network on data of any kind, kept as a file that names what builds it."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import orbitconv
from orbitconv.train import Builder, Segmentation, Training
from raising import refuses

image_module = pytest.importorskip("PIL.Image")


def linear(pixels=64, classes=2):
    return nn.Sequential(nn.Flatten(), nn.Linear(pixels, classes))


def bright_halves(n=48):
    labels = torch.arange(n) % 2
    images = torch.rand(n, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    images[labels == 0, ..., :4] += 1
    images[labels == 1, ..., 4:] += 1
    return images, labels


@pytest.fixture
def pictures(tmp_path):
    """Two class folders of pictures, divided."""
    images, labels = bright_halves()
    for i, (image, label) in enumerate(zip(images, labels.tolist(), strict=True)):
        path = tmp_path / "pictures" / ("test" if i >= 32 else "train") / ("left", "right")[label] / f"{i}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        image_module.fromarray((127 * image[0]).to(torch.uint8).numpy()).save(path)
    return tmp_path / "pictures"


def test_data_sets_tensors_and_loaders_give_the_same_network():
    images, labels = bright_halves()
    kinds = [(images, labels), TensorDataset(images, labels)]
    networks = []
    for data in kinds:
        torch.manual_seed(0)
        networks.append(orbitconv.fit(linear(), data, epochs=2, batch_size=16, seed=3).network)
    assert all(torch.equal(*pair) for pair in zip(networks[0].parameters(), networks[1].parameters(), strict=True))
    loader = DataLoader(TensorDataset(images, labels), batch_size=16, drop_last=True)
    fitted = orbitconv.fit(linear(), loader, epochs=20, test=(images, labels))
    assert fitted.rows[-1]["test_error_percent"] < 5


def test_a_folder_is_learned_saved_loaded_evaluated_and_predicted(pictures, tmp_path):
    made = Builder("test_fitting_builders:linear", {"pixels": 64})
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(
            __import__("sys").modules, "test_fitting_builders", __import__("types").SimpleNamespace(linear=linear)
        )
        fitted = orbitconv.fit(made, pictures, epochs=20, batch_size=16)
        fitted.save(tmp_path / "net.safetensors")
        with pytest.raises(PermissionError, match="test_fitting_builders:linear, which is not trusted"):
            orbitconv.load_network(tmp_path / "net.safetensors")
        again = orbitconv.load_network(tmp_path / "net.safetensors", ["test_fitting_builders"])
    assert again.classes == ("left", "right")
    assert again.scaling == fitted.scaling
    found = orbitconv.evaluate(again, pictures, angles=(0, 180), device="cpu")
    assert found["error_percent"] == fitted.rows[-1]["test_error_percent"] < 10
    assert found["error_at"]["180"] > 90
    said = orbitconv.predict(again, sorted((pictures / "test" / "left").iterdir()), device="cpu")
    images = torch.stack([orbitconv.data.folder(pictures).test[i][0] for i in range(len(said))])
    torch.testing.assert_close(torch.stack([one.probabilities for one in said]), again(images))


def test_a_network_that_learned_from_windows_predicts_whole_pictures_as_they_are(pictures):
    data = orbitconv.data.folder(pictures, window=4)
    network = nn.Sequential(nn.Conv2d(1, 2, 3, padding=1), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    fitted = orbitconv.fit(network, data, epochs=1, batch_size=16)
    said = orbitconv.predict(fitted, pictures / "test" / "left", device="cpu")
    expected = torch.cat([fitted(data.test[i][0][None]) for i in range(len(said))])
    torch.testing.assert_close(torch.stack([one.probabilities for one in said]), expected)


def test_streamed_pictures_give_the_same_bits_as_those_in_memory(pictures, monkeypatch):
    networks = []
    for limit in (1 << 30, 0):
        monkeypatch.setattr("orbitconv.train.prepared._IN_MEMORY", limit)
        torch.manual_seed(0)
        networks.append(orbitconv.fit(linear(), pictures, epochs=2, batch_size=16).network)
    assert all(torch.equal(*pair) for pair in zip(networks[0].parameters(), networks[1].parameters(), strict=True))


def test_a_network_that_labels_pixels_is_learned_from_tensors():
    images, _ = bright_halves()
    network = nn.Conv2d(1, 2, 1)
    fitted = orbitconv.fit(
        network, (images, (images[:, 0] > 1).long()), training=Training(epochs=30, batch_size=16, learning_rate=0.1)
    )
    assert isinstance(fitted.task, Segmentation)
    assert orbitconv.evaluate(fitted, (images, (images[:, 0] > 1).long()), device="cpu")["mean_iou"] > 0.9


def test_a_network_that_nothing_builds_is_not_saved(tmp_path):
    fitted = orbitconv.fit(linear(), bright_halves(), epochs=1, batch_size=16)
    refuses(ValueError, "expects to know what builds the network", fitted.save, tmp_path / "net.safetensors")
    assert list(tmp_path.iterdir()) == []


def test_a_converted_network_is_saved_by_what_builds_the_plain_one(tmp_path):
    builder = Builder("orbitconv.models:resnet18", {"num_classes": 2, "width": 4})
    images, labels = torch.rand(8, 3, 16, 16), torch.arange(8) % 2
    network = orbitconv.convert(builder.build(), "c4", example=images[:2], width="params")
    fitted = orbitconv.fit(network, (images, labels), epochs=1, batch_size=8, builder=builder)
    fitted.save(tmp_path / "net.safetensors")
    loaded = orbitconv.load_network(tmp_path / "net.safetensors")
    torch.testing.assert_close(loaded.network(images), network(images), rtol=0, atol=0)


def test_a_builder_of_another_network_is_refused_before_the_training():
    images, labels = torch.rand(8, 3, 16, 16), torch.arange(8) % 2
    builder = Builder("orbitconv.models:resnet18", {"num_classes": 2, "width": 4})
    rows = []
    with pytest.raises(ValueError, match=r"resnet18 builds another network .* could not be loaded"):
        orbitconv.fit(
            Builder(builder.function, {"num_classes": 2, "width": 8}).build(), (images, labels),
            epochs=1, batch_size=8, builder=builder, on_epoch=rows.append,
        )  # fmt: skip
    assert rows == []


@pytest.mark.parametrize(("function", "arguments", "error", "words"), [
    ("os:system", {"command": "true"}, PermissionError, "which is not trusted"),
    ("orbitconv.models:nothing", {}, ValueError, "does not build the network"),
    ("orbitconv.groups:parse_group", {"name": "C4"}, PermissionError, "which is not trusted"),
    ("orbitconv.models.layers:next", {}, ValueError, "does not build the network"),
    ("orbitconv.models.width:distinct_widths", {"profile": [1], "widest": 2}, TypeError, "returns a network"),
])  # fmt: skip
def test_what_builds_no_network_is_refused(function, arguments, error, words):
    refuses(error, words, lambda: Builder(function, arguments).build())


def test_data_of_another_kind_is_refused():
    with pytest.raises(TypeError, match="expects a folder of pictures, two tensors"):
        orbitconv.fit(linear(), np.zeros((4, 1, 8, 8)))
    with pytest.raises(ValueError, match="labels as an integer for each image"):
        orbitconv.fit(linear(), (torch.zeros(4, 1, 8, 8), torch.zeros(4)))


def test_an_epoch_is_a_line_where_no_bar_can_be_shown_unless_it_is_silenced(monkeypatch, capsys):
    data = bright_halves()
    orbitconv.fit(linear(), data, epochs=2, batch_size=16)
    assert capsys.readouterr().err == ""  # quick
    monkeypatch.setattr("orbitconv.train.epoch_lines.PATIENCE", 0)
    fitted = orbitconv.fit(linear(), data, epochs=2, batch_size=16, test=data)
    lines = capsys.readouterr().err.splitlines()
    assert [line.partition(":")[0] for line in lines] == ["epoch 1 of 2", "epoch 2 of 2"]
    for line, row in zip(lines, fitted.rows, strict=True):
        assert f"loss {row['loss']:.4f}" in line
        assert f"test error {row['test_error_percent']:.2f} %" in line
    orbitconv.fit(linear(), data, epochs=2, batch_size=16, progress=orbitconv.data.silent)
    assert capsys.readouterr().err == ""
    ended = orbitconv.fit(linear(), data, epochs=2, batch_size=16, on_epoch=lambda row: row["epoch"] == 1)
    assert len(ended.rows) == 1  # what is called after an epoch still is


def test_a_trained_network_is_shown_in_a_line_with_the_basis_that_it_has():
    fitted = orbitconv.fit(linear(), bright_halves(), epochs=1, batch_size=16, classes=tuple("abcdef"))
    assert repr(fitted) == (
        "TrainedNetwork(Sequential, 130 weights; classification of 6 classes (a, b, c, d, ...); "
        "images of 8x8 pixels, 1 channel; 1 epoch)"
    )
    assert fitted.config.network.basis == "none"
    arguments = {"name": "small", "basis": "exact-c4-k3", "num_classes": 2, "in_channels": 1, "width": 2}
    built = orbitconv.fit(Builder("orbitconv.models:build_model", arguments), bright_halves(), epochs=1, batch_size=16)
    assert built.config.network.basis == "exact-c4-k3"
