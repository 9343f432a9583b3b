"""Classes of pictures and of their turned copies."""

import csv
import json
import math

import numpy as np
import pytest
import torch
from torch import nn

from orbitconv.groups import rotate_images
from orbitconv.prediction import Predict, predict_pictures, write_csv, write_json
from orbitconv.prediction.predicting import turned_probabilities
from orbitconv.train import Network, TrainConfig, TrainedNetwork, build_network

image_module = pytest.importorskip("PIL.Image")
CLASSES = ("a", "b", "c")


class Linear(nn.Sequential):
    """Knows where every pixel is, so that turned copies differ."""

    def __init__(self, side=8):
        super().__init__(nn.Flatten(), nn.Linear(side * side, len(CLASSES)))


def trained(network, image_size=(8, 8)):
    return TrainedNetwork(
        network=network.eval(), config=TrainConfig(), classes=CLASSES, in_channels=1, image_size=image_size
    )


@pytest.fixture
def pictures(tmp_path):
    """Three grey pictures of 8x8, and their numbers."""
    pixels = np.random.default_rng(0).integers(0, 256, (3, 8, 8), dtype=np.uint8)
    for name, each in zip("xyz", pixels, strict=True):
        image_module.fromarray(each).save(tmp_path / f"{name}.png")
    return tmp_path, torch.from_numpy(pixels / np.float32(255))[:, None]


def test_quarter_turns_are_those_of_rot90(pictures):
    _, images = pictures
    network = Linear()
    found = turned_probabilities(network, images, 4)
    for n in range(3):
        for k in range(4):
            expected = network(torch.rot90(images[n : n + 1], k, (-2, -1))).softmax(1)[0]
            torch.testing.assert_close(found[n, k], expected, rtol=0, atol=1e-6)


def test_other_turns_are_splines_within_the_range_of_images(pictures):
    _, images = pictures
    network = Linear()
    turned = rotate_images(images, 2 * math.pi / 5).clamp(0, 1)
    torch.testing.assert_close(turned_probabilities(network, images, 5)[:, 1], network(turned).softmax(1))


def test_an_exactly_equivariant_network_sees_the_same_in_all_quarter_turns(pictures):
    network = build_network(Network(basis="exact-c4", options={"width": 2}), 1, 3).double().eval()
    found = turned_probabilities(network, pictures[1].double(), 4)
    assert (found - found[:, :1]).abs().max() < 1e-12


def test_predictions_are_means_over_turns_and_tell_how_stable_they_are(pictures):
    folder, images = pictures
    network = Linear()
    with torch.no_grad():
        next(network.parameters()).mul_(8)
    (first, *_), steps = (
        predict_pictures(trained(network), [folder], Predict(turns=4, device="cpu"), report := Steps()),
        report,
    )
    each = [network(torch.rot90(images[:1], k, (-2, -1))).softmax(1)[0].tolist() for k in range(4)]
    means = [sum(chances[c] for chances in each) / 4 for c in range(3)]
    order = sorted(range(3), key=lambda c: -means[c])
    assert first.ranking == order
    assert first.probabilities.tolist() == pytest.approx(means, abs=1e-6)
    assert first.agreeing == sum(chances.index(max(chances)) == order[0] for chances in each)
    assert first.agreeing < 4  # else nothing is tested
    assert first.lowest == pytest.approx(min(chances[order[0]] for chances in each), abs=1e-6)
    assert steps.seen == [("predict", 3, 3)]


class Steps:
    def __init__(self):
        self.seen = []

    def __call__(self, *step):
        self.seen.append(step)


@pytest.mark.parametrize("turns", [1, 2])
def test_files_hold_what_was_predicted(pictures, turns):
    folder, _ = pictures
    predictions = predict_pictures(trained(Linear()), [folder], Predict(turns=turns, device="cpu"))
    write_csv(folder / "out" / "table.csv", predictions)
    write_json(folder / "out" / "all.json", predictions, {"turns": turns})
    with (folder / "out" / "table.csv").open(encoding="utf-8") as file:
        lines = list(csv.DictReader(file))
    found = json.loads((folder / "out" / "all.json").read_text())
    assert found["classes"] == list(CLASSES)
    assert [row["file"] for row in found["rows"]] == [line["file"] for line in lines]
    for line, row, one in zip(lines, found["rows"], predictions, strict=True):
        means = np.mean(row["probabilities"], axis=0)
        assert np.shape(row["probabilities"]) == (turns, 3)
        assert line["class"] == row["class"] == CLASSES[int(means.argmax())]
        assert float(line["probability"]) == pytest.approx(means.max(), abs=1e-6)
        assert line["runner_up"] == CLASSES[one.ranking[1]]
        assert ("agreeing" in line) == (turns > 1)
    assert sorted(path.name for path in (folder / "out").iterdir()) == ["all.json", "table.csv"]


def test_a_size_is_needed_and_must_suit_the_network(pictures):
    folder, _ = pictures
    old = trained(Linear(), image_size=None)
    with pytest.raises(ValueError, match="Give their side in pixels with --size"):
        predict_pictures(old, [folder], Predict(device="cpu"))
    assert len(predict_pictures(old, [folder], Predict(size=8, device="cpu"))) == 3
    with pytest.raises(ValueError, match="takes no images of 9x9 pixels"):
        predict_pictures(old, [folder], Predict(size=9, device="cpu"))
