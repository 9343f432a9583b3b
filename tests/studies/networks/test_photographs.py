"""All-CNN-C and ResNet-44 at the smallest size: which networks are trained, and how large the plain ones are."""

import json

import pytest

from digits import small_digits
from orbitconv.train import load_trained
from orbitconv.train.datasets import LOADERS
from studies.__main__ import main
from studies.networks.photographs import NETWORKS, Photographs

pytest.importorskip("matplotlib")


def small_photographs(split, **_):
    """Digits of 8x8 pixels in three channels."""
    digits = small_digits(100 if split == "train" else 20, split)
    return type(digits)(**{**vars(digits), "images": digits.images.expand(-1, 3, -1, -1).contiguous()})


def test_plain_networks_have_the_parameters_or_the_multiply_adds_of_those_on_a_group(tmp_path, monkeypatch):
    monkeypatch.setitem(LOADERS, "cifar10", small_photographs)
    monkeypatch.setitem(NETWORKS, "ResNet-44", ("resnet", {"depth": 8}))
    monkeypatch.chdir(tmp_path)
    words = ["--families", "plain", "exact", "--groups", "c4", "--plain-width", "4", "--resnet-width", "4",
             "--training.epochs", "1", "--training.batch-size", "50", "--seeds", "2", "--pool-group",
             "none"]  # fmt: skip
    main(["cifar10-networks", *words, "--results", "record.json"])
    rows = json.loads((tmp_path / "record.json").read_text())["rows"]
    assert {(row["network"], row["matched"], row["family"], row["seed"], row["test"]) for row in rows} == {
        (name, *kind, seed, test)
        for name in NETWORKS for kind in (("parameters", "plain"), ("parameters", "exact"), ("multiply-adds", "plain"))
        for seed in range(2) for test in ("upright", "rotated")
    }  # fmt: skip
    network = load_trained(tmp_path / "runs/cifar10-networks/all-cnn-c/networks/exact-c4-1-epochs-seed-1")[0].eval()
    test = small_photographs("test")
    wrong = (network(test.floats()).argmax(1) != test.labels).double().mean()
    (row,) = (
        row for row in rows
        if (row["network"], row["family"], row["seed"], row["test"]) == ("All-CNN-C", "exact", 1, "upright")
    )  # fmt: skip
    assert row["test_error_percent"] == pytest.approx(100 * float(wrong))


@pytest.mark.parametrize(("options", "words"), [
    ({"networks": ("VGG",)}, "networks out of All-CNN-C, ResNet-44"),
    ({"families": ("spectral",)}, "compares plain with one family or more"),
    ({"width": 3}, "chooses width and options itself"),
])  # fmt: skip
def test_refusals(options, words):
    with pytest.raises(ValueError, match=words):
        Photographs(**options)
