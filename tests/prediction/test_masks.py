"""Masks of picture files, against the network asked directly."""

import json

import numpy as np
import pytest
import torch
from torch import nn

from orbitconv.data import Scaling
from orbitconv.models import UNet
from orbitconv.prediction import Masks, predict_masks
from orbitconv.prediction.masks import turned_answers
from orbitconv.train import Segmentation, TrainConfig, TrainedNetwork

image_module = pytest.importorskip("PIL.Image")
SCALING = Scaling.by_type("uint8", (0, 255), 3)


def trained(network):
    return TrainedNetwork(
        network=network, config=TrainConfig(), classes=("ground", "cell"), in_channels=3, image_size=(32, 32),
        task=Segmentation(), scaling=SCALING,
    )  # fmt: skip


@pytest.fixture
def unet():
    """A small U-Net whose masks have both classes."""
    network = UNet(None, 2, depth=1, plain_width=4).eval()
    nn.init.zeros_(network.score.bias)
    return trained(network)


@pytest.fixture
def folder(tmp_path):
    """Two pictures of several sizes and a file that is none."""
    draws = np.random.default_rng(0)
    (tmp_path / "in").mkdir()
    for name, size in (("a", (150, 210)), ("b", (40, 33))):
        image_module.fromarray(draws.integers(0, 256, (*size, 3), dtype=np.uint8)).save(tmp_path / "in" / f"{name}.png")
    (tmp_path / "in" / "c.png").write_bytes(b"no picture")
    return tmp_path


def pixels(path):
    return torch.from_numpy(np.array(image_module.open(path)))


def test_masks_are_what_the_network_says_and_unreadable_pictures_are_named(folder, unet):
    rows = predict_masks(unet, [folder / "in"], folder / "out", Masks(device="cpu"))
    for row, name in zip(rows[:2], "ab", strict=True):
        image = SCALING.apply(pixels(folder / "in" / f"{name}.png").movedim(-1, 0)[None].float())
        expected = unet(image)[0].argmax(0)  # of probabilities, where scores may tie in rounding
        found = pixels(folder / "out" / f"{name}.png").long()
        assert torch.equal(found, expected)
        assert row["share"]["cell"] == pytest.approx(float((expected == 1).float().mean()))
    assert "c.png" in rows[2]["error"]
    assert not (folder / "out" / "c.png").exists()


def test_tiles_give_the_answer_of_the_whole_picture(folder, unet):
    predict_masks(unet, [folder / "in" / "a.png"], folder / "whole", Masks(device="cpu"))
    predict_masks(unet, [folder / "in" / "a.png"], folder / "tiles", Masks(tile=128, margin=16, device="cpu"))
    whole, tiles = (pixels(folder / name / "a.png") for name in ("whole", "tiles"))
    assert (whole != tiles).float().mean() < 1e-4  # where scores tie to the last digit
    assert 0.02 < whole.float().mean() < 0.98


def test_what_is_done_is_kept_on_resume(folder, unet, monkeypatch):
    predict_masks(unet, [folder / "in" / "a.png"], folder / "out", Masks(device="cpu"))
    before = (folder / "out" / "a.png").stat().st_mtime_ns
    with pytest.raises(FileExistsError, match="Go on with --resume"):
        predict_masks(unet, [folder / "in"], folder / "out", Masks(device="cpu"))
    rows = predict_masks(unet, [folder / "in"], folder / "out", Masks(device="cpu"), resume=True)
    assert (folder / "out" / "a.png").stat().st_mtime_ns == before
    assert [row.get("mask") for row in rows] == ["a.png", "b.png", None]
    assert len((folder / "out" / "masks.jsonl").read_text().splitlines()) == 3


def test_the_mean_over_turns_turns_with_the_picture(unet):
    image = torch.rand(1, 3, 20, 28)
    expected = torch.rot90(turned_answers(unet, image, 4), 1, (-2, -1))
    torch.testing.assert_close(turned_answers(unet, torch.rot90(image, 1, (-2, -1)), 4), expected)
    assert float((turned_answers(unet, image, 1) - turned_answers(unet, image, 4)).abs().max()) > 1e-4


def test_objects_are_numbered(folder, unet):
    (row,) = predict_masks(unet, [folder / "in" / "b.png"], folder / "out", Masks(objects=True, device="cpu"))
    assert int(pixels(folder / "out" / "b.png").int().max()) == row["objects"] > 1
    assert json.loads((folder / "out" / "masks.jsonl").read_text())["objects"] == row["objects"]


def test_other_turns_are_refused():
    with pytest.raises(ValueError, match="1, 2 or 4 copies, got 3"):
        Masks(turns=3)
