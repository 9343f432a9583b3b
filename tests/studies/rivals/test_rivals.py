"""Both studies of rivals at the smallest size on small digits, and what they are made of."""

import json
import math

import pytest
import torch

from digits import small_digits
from orbitconv.groups import rotate_images
from orbitconv.models import count_parameters
from orbitconv.train import read_trained
from orbitconv.train.datasets import LOADERS
from refusals import refused
from studies.__main__ import main
from studies.rivals import measure
from studies.rivals.rows import FREE, MULTIPLY_ADDS, PARAMETERS, TIME, UPRIGHT
from studies.rivals.upright import pose_angles, upright

pytest.importorskip("matplotlib")

SMALL = ["--data", "rotated-mnist", "--train-images", "100", "--test-images", "40", "--training.epochs", "1",
         "--training.batch-size", "20", "--plain-width", "4", "--tolerance", "0.5"]  # fmt: skip
RIVALS = ["rivals", *SMALL, "--bases", "exact-c4", "--reference", "exact-c4", "--rates", "0.01", "--sweep-widths", "1",
          "--sweep-epochs", "1", "--rounds", "2", "--seeds", "1", "--turns", "2", "--timed-pictures", "2",
          "--validation", "0.3"]  # fmt: skip


def sizes_of(network):
    """Bytes of the weights, for the file of a network."""
    return 4 * count_parameters(network)


@pytest.fixture(autouse=True)
def data(tmp_path, monkeypatch):
    monkeypatch.setitem(
        LOADERS, "rotated-mnist", lambda split, **_: small_digits(200 if split == "train" else 50, split)
    )
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_rivals_are_one_command_and_its_errors_are_those_of_the_networks_that_were_kept(data, capsys, monkeypatch):
    monkeypatch.setattr(measure, "export_model", lambda network, path, *_: path.write_bytes(bytes(sizes_of(network))))
    main([*RIVALS, "--results", "record.json"])
    rows = json.loads((data / "record.json").read_text())["rows"]
    assert {row["network"] for row in rows if row["table"] == "rivals"} == {
        PARAMETERS, MULTIPLY_ADDS, TIME, FREE, UPRIGHT, "exact C4", "exact C4 without the constraint",
        "plain, mean over 2 turns",
    }  # fmt: skip
    assert {row["test"] for row in rows} == {"rotated", "validation, rates", "validation, free"}
    assert all(
        row["picture_ms"] > 0 and row["step_ms"] > 0 and row["onnx_mb"] == pytest.approx(4e-6 * row["parameters"])
        for row in rows
    )
    row = next(row for row in rows if row["network"] == "exact C4" and row["table"] == "rivals")
    (folder,) = (data / "runs" / "rivals" / "networks").glob("rotated-mnist-rivals-exact-c4-0-01-*")
    network = read_trained(folder, ("studies",)).network
    drawn = torch.randperm(50, generator=torch.Generator().manual_seed(0))[:40]
    digits = small_digits(50, "test")
    wrong = int((network(digits.floats()[drawn]).argmax(1) != digits.labels[drawn]).sum())
    assert row["test_error_percent"] == pytest.approx(100 * wrong / 40)
    assert "Points that exact-c4 is ahead" in capsys.readouterr().out
    before = (data / "record.json").read_text()
    main([*RIVALS, "--results", "record.json"])  # all is done already
    assert json.loads((data / "record.json").read_text())["rows"] == json.loads(before)["rows"]


def test_labels_are_one_command_and_every_share_gets_about_as_many_steps(data, capsys):
    main(["labels", *SMALL, "--bases", "exact-c4", "--shares", "0.2", "1", "--steps", "6", "--seeds", "2",
          "--results", "record.json"])  # fmt: skip
    rows = json.loads((data / "record.json").read_text())["rows"]
    assert [(row["share"], row["network"], row["seed"], row["steps"]) for row in rows] == [
        (share, network, seed, steps)
        for seed in range(2) for share, steps in ((0.2, 6), (1.0, 5)) for network in ("plain", "exact C4")
    ]  # fmt: skip
    assert "by share of the labels" in capsys.readouterr().out


@pytest.mark.parametrize(("words", "message"), [
    (["rivals", "--tolerance", "0.001"], "no width brings exact C4"),
    (["rivals", "--bases", "spectral-c5", "--reference", "spectral-c5"], "No spectral basis of C5"),
    (["rivals", "--bases", "exact-c8", "--reference", "exact-c8"], "C8"),
    (["rivals", "--validation", "0.01"], "of each; the rarest class has"),
    (["labels", "--shares", "0.01"], "at least one label of every class"),
    (["labels", "--train-images", "300"], "at most 200"),
    (["labels", "--data", "nowhere"], "data out of rotated-mnist"),
    (["rivals", "--reference", "spectral-c4"], "a reference out of"),
])  # fmt: skip
def test_what_cannot_be_compared_is_refused_before_anything_is_trained(data, capsys, words, message):
    assert message in refused(capsys, [words[0], *SMALL, *words[1:]], main)
    assert not [*data.iterdir()]


@pytest.mark.parametrize("pose", ["moments", "gradient"])
def test_a_picture_and_its_turned_copy_become_the_same_upright_one(pose):
    side = 33
    row, column = torch.meshgrid(*(torch.arange(side, dtype=torch.float64) - 16,) * 2, indexing="ij")
    spots = ((-6.0, 1.0, 2.0, 1.0), (3.0, 2.0, 3.0, 0.8), (7.0, -1.5, 2.0, 0.3))
    picture = sum(a * torch.exp(-((column - x) ** 2 + (row - y) ** 2) / (2 * s**2)) for x, y, s, a in spots)
    assert isinstance(picture, torch.Tensor)
    image = picture[None, None]
    quarter = image.rot90(1, (2, 3))
    difference = (pose_angles(quarter, pose) - pose_angles(image, pose)).remainder(2 * math.pi)
    torch.testing.assert_close(difference, torch.full_like(difference, math.pi / 2), rtol=0, atol=1e-9)
    for angle in (0.3, 1.9, 4.0):
        turned = rotate_images(image, angle)
        moved = (pose_angles(turned, pose) - pose_angles(image, pose) - angle + math.pi).remainder(2 * math.pi)
        assert abs(float(moved) - math.pi) < 0.05
        assert float((upright(turned, pose) - upright(image, pose)).abs().max()) < 0.06
    assert float((rotate_images(image, 1.9) - image).abs().max()) > 0.5
