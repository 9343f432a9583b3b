"""The study of conversion at its smallest; numbers of its tables are computed again."""

import json

import numpy as np
import pytest
import torch
import torch.nn.functional as F

import orbitconv
from digits import small_digits
from orbitconv.models import TurnedCopies
from orbitconv.nn import GroupConv2d
from orbitconv.train import Training
from studies.__main__ import main
from studies.conversion.study import digits_network, pictures_network
from studies.conversion.ways import WAYS, distil, open_gradually

image_module = pytest.importorskip("PIL.Image")
pytest.importorskip("matplotlib")


@pytest.fixture
def data(tmp_path, monkeypatch):
    draws = np.random.default_rng(0)
    for split in ("train", "test"):
        for kind, shift in (("forest", 0), ("river", 90)):
            for i in range(8):
                path = tmp_path / "eurosat" / split / kind / f"{i}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                pixels = draws.integers(0, 150, (16, 16, 3)) + shift
                image_module.fromarray(pixels.astype(np.uint8)).save(path)
    monkeypatch.setenv("ORBITCONV_DATA", str(tmp_path))
    monkeypatch.setattr("studies.conversion.study.load", lambda _name, split, **_: small_digits(40, split))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_all_kinds_are_trained_and_tested_epoch_by_epoch(data):
    words = "--group c4 --seeds 1 --train-digits 16 --digits-width 1 --pictures-width 1 --shares 0.5 --test-images 8"
    sizes = "--digits.epochs 1 --digits.batch-size 8 --pictures.epochs 1 --pictures.batch-size 4"
    main(["conversion", *words.split(), *sizes.split(), "--results", "record.json"])
    rows = json.loads((data / "record.json").read_text())["rows"]
    kinds = ["plain", "from scratch", "inherited"]
    assert list(dict.fromkeys(row["network"] for row in rows if row["data"] == "digits")) == kinds
    assert list(dict.fromkeys(row["network"] for row in rows if row["data"] == "pictures")) == [
        *kinds, "plain, as long as a converted one"
    ]  # fmt: skip
    for row in rows:
        assert 0 <= row["test_error_percent"] <= 100
        if row["network"].startswith("plain"):
            network = digits_network(1) if row["data"] == "digits" else pictures_network(1, 2)
            assert row["parameters"] == sum(one.numel() for one in network.parameters())
    epochs = {row["epoch"] for row in rows if row["network"] == "inherited" and row["data"] == "pictures"}
    assert epochs == {0, 1}  # a half of the labels, 1 / sqrt(0.5) times the epochs, rounded


def test_ways_to_inherit_are_tried_beside_their_plain_twins(data, monkeypatch):
    monkeypatch.setattr("studies.conversion.ways.load", lambda _name, split, **_: small_digits(80, split))
    words = "--group c4 --seeds 1 --train-digits 64 --width 1 --test-images 8 --training.epochs 1"
    main(["inheriting", *words.split(), "--training.batch-size", "8", "--results", "record.json"])
    rows = json.loads((data / "record.json").read_text())["rows"]
    assert len(rows) == 4 * len(WAYS)
    assert {row["batch_size"] for row in rows} == {8, 16, 64}
    assert all((row["before_percent"] is None) == (row["network"] == "plain") for row in rows)


def test_a_network_learns_what_the_plain_one_says_of_turned_copies():
    plain, images = digits_network(2).eval(), torch.rand(32, 1, 28, 28)
    network = orbitconv.convert(plain, "c4", "exact", example=images[:4])
    teacher = TurnedCopies(plain, 4, order=1)
    training = Training(epochs=30, batch_size=16, learning_rate=1e-2)

    def distance() -> float:
        with torch.no_grad():
            said = network.eval()(images).log_softmax(1)
            return float(F.kl_div(said, teacher(images), reduction="batchmean", log_target=True))

    before = distance()
    distil(network, plain, images, training, 0)
    assert distance() < 0.5 * before


def test_mixing_opens_over_the_steps_of_training():
    network = orbitconv.convert(digits_network(1), "c4", "exact", example=torch.randn(2, 1, 28, 28))
    layer = next(one for one in network.modules() if isinstance(one, GroupConv2d))
    whole = layer.coefficients.detach().clone()
    open_gradually(network, 4)
    for step in range(1, 6):
        network.train()(torch.randn(2, 1, 28, 28))
        torch.testing.assert_close(layer.coefficients[:, :, 0], whole[:, :, 0])
        torch.testing.assert_close(layer.coefficients[:, :, 1:], min(1, step / 4) * whole[:, :, 1:])
