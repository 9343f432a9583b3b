"""Masks of picture files, against the network asked directly."""

import json
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from full_disk import files_no_longer_than
from orbitconv.data import DataError, Scaling
from orbitconv.models import UNet
from orbitconv.prediction import Masks, predict_masks
from orbitconv.train import Segmentation, TrainConfig, TrainedNetwork

image_module = pytest.importorskip("PIL.Image")
tifffile = pytest.importorskip("tifffile")
rasterio = pytest.importorskip("rasterio")
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


@pytest.mark.parametrize("size", [(150, 210), (131, 120)])
def test_tiles_of_the_measured_margin_give_the_answer_of_the_whole_picture(tmp_path, unet, size):
    draws = np.random.default_rng(1)
    image_module.fromarray(draws.integers(0, 256, (*size, 3), dtype=np.uint8)).save(tmp_path / "a.png")
    predict_masks(unet, [tmp_path / "a.png"], tmp_path / "whole", Masks(device="cpu"))
    predict_masks(unet, [tmp_path / "a.png"], tmp_path / "tiles", Masks(tile=120, device="cpu"))
    whole, tiles = (pixels(tmp_path / name / "a.png") for name in ("whole", "tiles"))
    assert (whole != tiles).float().mean() < 1e-4  # where scores tie to the last digit
    assert 0.02 < whole.float().mean() < 0.98


def test_tiles_of_a_file_that_is_scaled_by_its_own_range_are_scaled_alike(tmp_path, unet):
    y, x = np.mgrid[:150, :210]
    tifffile.imwrite(tmp_path / "a.tif", (y * x + 7 * np.random.default_rng(0).random((150, 210))).astype(np.float32))
    by_file = replace(unet, scaling=Scaling.by_file("float32", 3))
    predict_masks(by_file, [tmp_path / "a.tif"], tmp_path / "whole", Masks(device="cpu"))
    predict_masks(by_file, [tmp_path / "a.tif"], tmp_path / "tiles", Masks(tile=120, device="cpu"))
    whole, tiles = (pixels(tmp_path / name / "a.png") for name in ("whole", "tiles"))
    assert (whole != tiles).float().mean() < 1e-3
    assert 0.02 < whole.float().mean() < 0.98


def test_what_is_done_is_kept_on_resume(folder, unet, monkeypatch):
    predict_masks(unet, [folder / "in" / "a.png"], folder / "out", Masks(device="cpu"))
    before = (folder / "out" / "a.png").stat().st_mtime_ns
    with pytest.raises(FileExistsError, match="Resume with --resume"):
        predict_masks(unet, [folder / "in"], folder / "out", Masks(device="cpu"))
    rows = predict_masks(unet, [folder / "in"], folder / "out", Masks(device="cpu"), resume=True)
    assert (folder / "out" / "a.png").stat().st_mtime_ns == before
    assert [row.get("mask") for row in rows] == ["a.png", "b.png", None]
    assert len((folder / "out" / "masks.jsonl").read_text().splitlines()) == 2


def test_objects_are_numbered(folder, unet):
    (row,) = predict_masks(unet, [folder / "in" / "b.png"], folder / "out", Masks(objects="components", device="cpu"))
    assert int(pixels(folder / "out" / "b.png").int().max()) == row["objects"] > 1
    assert json.loads((folder / "out" / "masks.jsonl").read_text())["objects"] == row["objects"]


def test_a_line_that_was_cut_off_is_made_anew_and_other_settings_are_refused(folder, unet):
    before = predict_masks(unet, [folder / "in"], folder / "out", Masks(device="cpu"))
    table = folder / "out" / "masks.jsonl"
    table.write_text(table.read_text()[:-20])
    assert predict_masks(unet, [folder / "in"], folder / "out", Masks(device="cpu"), resume=True) == before
    assert [json.loads(line)["mask"] for line in table.read_text().splitlines()] == ["a.png", "b.png"]
    with pytest.raises(ValueError, match="masks of other settings"):
        predict_masks(unet, [folder / "in"], folder / "out", Masks(turns=2, device="cpu"), resume=True)


@pytest.mark.skipif(sys.platform == "win32", reason="no resource limits")
def test_a_full_disk_keeps_what_is_done(folder, unet):
    with files_no_longer_than(6000), pytest.raises(OSError, match="large"):
        predict_masks(unet, [folder / "in" / "b.png", folder / "in" / "a.png"], folder / "out", Masks(device="cpu"))
    assert {path.name for path in (folder / "out").iterdir()} >= {"b.png", "b.overlay.png", "masks.jsonl"}
    assert not [path for path in (folder / "out").iterdir() if path.name.startswith(("a.overlay", "."))]
    rows = predict_masks(unet, [folder / "in"], folder / "out", Masks(device="cpu"), resume=True)
    assert [row.get("mask") for row in rows] == ["a.png", "b.png", None]


def test_masks_of_geotiff_keep_their_place_and_missing_data(tmp_path, unet):
    numbers = np.random.default_rng(0).integers(1, 256, (3, 40, 52), dtype=np.uint8)
    numbers[:, 3:9, 5:20] = 0
    place = {"transform": rasterio.Affine(10, 2, 5e5, 1, -10, 5e6), "crs": "EPSG:32631"}
    with rasterio.open(
        tmp_path / "a.tif", "w", driver="GTiff", count=3, height=40, width=52, dtype="uint8", nodata=0, **place
    ) as file:
        file.write(numbers)
    (row,) = predict_masks(unet, [tmp_path / "a.tif"], tmp_path / "out", Masks(device="cpu"))
    with rasterio.open(tmp_path / "out" / row["mask"]) as file, rasterio.open(tmp_path / "a.tif") as source:
        assert (file.transform, file.crs, file.shape) == (source.transform, source.crs, source.shape)
        mask = file.read(1)
        assert np.array_equal(file.read_masks(1) == 0, (numbers == 0).all(0))
    seen = mask[mask != 255]
    assert row["share"]["cell"] == pytest.approx((seen == 1).mean())


def test_each_page_of_a_stack_gets_a_mask(tmp_path, unet):
    stack = np.random.default_rng(0).integers(0, 256, (3, 24, 28), dtype=np.uint8)
    tifffile.imwrite(tmp_path / "stack.tif", stack, photometric="minisblack")
    image_module.fromarray(stack[1]).save(tmp_path / "one.png")
    rows = predict_masks(unet, [tmp_path / "stack.tif", tmp_path / "one.png"], tmp_path / "out", Masks(device="cpu"))
    assert [(row["page"], row["mask"]) for row in rows] == [
        (0, "stack.0000.png"), (1, "stack.0001.png"), (2, "stack.0002.png"), (0, "one.png")
    ]  # fmt: skip
    assert torch.equal(pixels(tmp_path / "out" / "stack.0001.png"), pixels(tmp_path / "out" / "one.png"))


def test_masks_of_files_of_one_stem_do_not_replace_each_other(tmp_path, unet):
    for name in ("x/a.png", "x/a-2.png", "y/a.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        image_module.fromarray(np.zeros((20, 20, 3), np.uint8)).save(tmp_path / name)
    names = [tmp_path / name for name in ("x/a.png", "y/a.png", "x/a-2.png")]
    rows = predict_masks(unet, names, tmp_path / "out", Masks(device="cpu"))
    assert len({row["mask"] for row in rows}) == 3


def test_tiles_that_do_not_suit_the_network_are_refused_as_such(folder, unet):
    with pytest.raises(
        ValueError, match=r"^Tiling expects tiles of which no three overlap.*Take a side of 118 or more"
    ):
        predict_masks(unet, [folder / "in"], folder / "out", Masks(tile=100, device="cpu"))
    assert not (folder / "out").exists()


def test_too_many_unreadable_pictures_are_refused_after_the_others_are_done(folder, unet):
    for name in "def":
        (folder / "in" / f"{name}.png").write_bytes(b"no picture")
    with pytest.raises(DataError, match=r"cannot use 4 of 6 pictures, more than max_unreadable=0\.01"):
        predict_masks(unet, [folder / "in"], folder / "out", Masks(device="cpu"))
    assert (folder / "out" / "b.png").exists()
    rows = predict_masks(unet, [folder / "in"], folder / "out", Masks(max_unreadable=0.7, device="cpu"), resume=True)
    assert sum("error" in row for row in rows) == 4
