"""Both studies of pictures on generated pictures, at the smallest size; a number of each is computed again."""

import json

import numpy as np
import pytest
import torch

import orbitconv
from orbitconv.metrics.objects import object_f1
from orbitconv.models import UNet
from orbitconv.train import read_trained
from studies.__main__ import main
from studies.pictures import streaming
from studies.pictures.networks import satellite
from studies.pictures.nuclei import EightPasses
from studies.pictures.streaming import train_one_epoch

image_module = pytest.importorskip("PIL.Image")
pytest.importorskip("matplotlib")

TRAINING = ["--training.epochs", "1", "--training.batch-size", "8", "--rounds", "2", "--seeds", "2"]


def save(path, pixels):
    path.parent.mkdir(parents=True, exist_ok=True)
    image_module.fromarray(pixels.astype(np.uint8)).save(path)


@pytest.fixture
def data(tmp_path, monkeypatch):
    """Bright and dark classes; bright discs on dark ground, pictures of two sizes."""
    draws = np.random.default_rng(0)
    for split, count in (("train", 16), ("test", 6)):
        for i in range(count):
            for kind, shift in (("forest", 0), ("river", 60)):
                pixels = draws.integers(0, 150, (16, 16, 3)) + shift
                save(tmp_path / "eurosat" / split / kind / f"{i}.png", pixels)
            y, x = np.mgrid[: 20 + 4 * (i % 2), :24]
            numbers = np.zeros(x.shape)
            for number, (row, col) in enumerate(((5, 5), (12, 16)), start=1):
                numbers[(y - row) ** 2 + (x - col) ** 2 < 14] = number
            save(tmp_path / "nuclei" / split / "images" / f"{i}.png", 60 * draws.random(x.shape) + 150 * (numbers > 0))
            save(tmp_path / "nuclei" / split / "masks" / f"{i}.png", numbers)
    monkeypatch.setenv("ORBITCONV_DATA", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_errors_of_satellite_pictures_are_those_of_the_networks_that_were_kept(data):
    words = ["--bases", "exact-d4-k3", "--time-of", "exact-d4-k3", "--plain-width", "4", "--equal-time", "6"]
    longer = "plain, 6 channels, as long as exact D4"
    main(["eurosat", *words, *TRAINING, "--results", "record.json"])
    rows = json.loads((data / "record.json").read_text())["rows"]
    assert [(row["table"], row["network"], row["seed"]) for row in rows] == [
        (table, network, seed) for seed in range(2) for table, network in (
            ("equal parameters", "plain"), ("equal parameters", "exact D4"), ("equal time", longer),
        )
    ]  # fmt: skip
    assert all(row["step_ms"] > 0 and row["seconds"] >= 0 for row in rows)
    test = orbitconv.data.folder(data / "eurosat").test
    images, labels = test.stacked()
    network = read_trained(data / "runs" / "eurosat" / "networks" / "exact-d4-1-epochs-seed-1", ("studies",)).network
    wrong = int((network(images).argmax(1) != labels).sum())
    assert rows[4]["test_error_percent"] == pytest.approx(100 * wrong / len(labels))


def test_scores_of_satellite_pictures_do_not_change_when_they_turn():
    network, x = satellite("exact-d4-k3", 6).double().eval(), torch.rand(2, 3, 32, 32, dtype=torch.float64)
    torch.testing.assert_close(network(x.rot90(1, (2, 3)).flip(3)), network(x), rtol=0, atol=1e-12)
    plain = satellite(None, 6).double().eval()
    assert float((plain(x.rot90(1, (2, 3))) - plain(x)).detach().abs().max()) > 1e-4


def test_figures_of_nuclei_are_those_of_the_networks_that_were_kept(data):
    words = ["--bases", "exact-d4-k3", "--plain-width", "3", "--depth", "1", "--window", "16", "--timed-side", "20"]
    main(["nuclei", *words, *TRAINING, "--results", "record.json"])
    rows = json.loads((data / "record.json").read_text())["rows"]
    kinds = [("plain", 1), ("plain", 8), ("exact D4", 1)]
    assert [(row["network"], row["passes"], row["seed"]) for row in rows] == [
        (*kind, seed) for seed in range(2) for kind in kinds
    ]
    test = orbitconv.data.folder(data / "nuclei", channels=3, objects=True).test
    for row, name in ((rows[1], "plain"), (rows[2], "exact-d4")):
        network = read_trained(data / "runs" / "nuclei" / "networks" / f"{name}-1-epochs-seed-0").network
        seen = EightPasses(network) if row["passes"] == 8 else network
        both = sizes = 0
        for image, mask in test:
            said = seen(image[None]).argmax(1)[0] == 1
            both, sizes = both + int((said & (mask == 1)).sum()), sizes + int(said.sum()) + int((mask == 1).sum())
        assert row["dice"] == pytest.approx(2 * both / sizes)
    assert 0 <= rows[0]["f1_50"] <= float(object_f1(torch.tensor([[1, 0, 0]])))


def test_eight_passes_change_nothing_about_an_equivariant_network_and_make_a_plain_one_so():
    x = torch.rand(1, 3, 12, 10, dtype=torch.float64)
    exact = UNet("exact-d4-k3", 2, depth=1, width=2).double().eval()
    torch.testing.assert_close(EightPasses(exact)(x).exp(), exact(x).softmax(1), rtol=0, atol=1e-12)
    plain = UNet(None, 2, depth=1, width=3).double().eval()
    eight = EightPasses(plain)
    turned = eight(x.rot90(1, (2, 3)).flip(3))
    torch.testing.assert_close(turned, eight(x).rot90(1, (2, 3)).flip(3), rtol=0, atol=1e-12)
    assert float((eight(x).exp() - plain(x).softmax(1)).detach().abs().max()) > 1e-4


def test_streaming_measures_files_cache_and_memory_and_removes_its_pictures(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(
        streaming, "_in_a_process", lambda kind, root, config: train_one_epoch(kind, root, config.window, 0, 4)
    )
    words = "--pictures 12 --distinct 8 --side 40 --window 16 --rounds 1 --results record.json --folder"
    monkeypatch.chdir(tmp_path)
    (tmp_path / "here").mkdir()
    main(["streaming", *words.split(), "here"])
    found = json.loads((tmp_path / "record.json").read_text())
    assert [row["pictures"] for row in found["rows"]] == ["files", "cache", "memory"]
    assert all(row["images_per_second"] > 0 and row["resident_gigabytes"] > 0 for row in found["rows"])
    assert list((tmp_path / "here").iterdir()) == []
    assert json.loads(capsys.readouterr().out)["summary"] == found["summary"]
