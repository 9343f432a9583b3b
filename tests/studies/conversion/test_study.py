"""The study of conversion at its smallest; numbers of its tables are computed again."""

import json

import numpy as np
import pytest

from digits import small_digits
from studies.__main__ import main
from studies.conversion.study import digits_network, pictures_network
from studies.conversion.ways import WAYS

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
    words = "--group c4 --seeds 2 --train-digits 64 --width 1 --test-images 8 --training.epochs 1"
    main(["inheriting", *words.split(), "--training.batch-size", "8", "--results", "record.json"])
    rows = json.loads((data / "record.json").read_text())["rows"]
    assert len(rows) == 4 * (len(WAYS) + 1)
    assert {row["batch_size"] for row in rows} == {8, 16, 64}
    assert all((row["before_percent"] is None) == (row["network"] == "plain") for row in rows)
