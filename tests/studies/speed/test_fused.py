"""The benchmark of the compiled product: a small run of every part, its page, and what it refuses."""

import json

import pytest
import torch
from torch import nn

from orbitconv.models import SmallCNN
from raising import refuses
from studies.speed.fused import layers, networks, study
from studies.speed.fused.layers import Layer
from studies.speed.fused.networks import Network
from studies.speed.fused.study import BenchFused


@pytest.fixture
def small(monkeypatch, tmp_path, built_kernel):
    """Small cases, and settings for a run that is over at once."""
    layer = Layer(basis="spectral-c8-k3", fields=2, size=5, batch=2, goal=0.5, memory=0.8)
    network = Network(
        name="tiny", words="a tiny network", basis="spectral-c8-k3", width=4, make=SmallCNN, shape=(2, 1, 8, 8),
        inference=0.5, training=0.5,
    )  # fmt: skip
    monkeypatch.setattr(layers, "LAYERS", (layer,))
    monkeypatch.setattr(layers, "SIZES", (layer,))
    monkeypatch.setattr(networks, "NETWORKS", (network,))
    monkeypatch.setattr(study, "find_peers", lambda _: ([], {}))
    return {"repeats": 1, "seconds": 1e-4, "threads": 1, "out": tmp_path / "record.json"}


@pytest.mark.compile
def test_every_part_is_measured_and_shown(small):
    BenchFused(**small).run()
    record = json.loads(small["out"].read_text())
    tasks = {row["task"]: row for row in record["rows"] if row["subject"] == "orbitconv"}
    assert tasks.keys() == {
        "training step of a layer", "inference of a network", "training of a network", "peak memory of a training step",
        "training step of a layer, further sizes", "training step of a layer, 1 threads",
        "inference of a network in onnxruntime", "peak memory of a training step of a network",
        "training step of a layer, by each product",
    }  # fmt: skip
    assert tasks["training step of a layer"]["error"] < 4e-6
    assert tasks["inference of a network"]["error"] < 4e-6
    assert len(record["rates"]) == 3
    page = small["out"].with_suffix(".md").read_text()
    assert all(words in page for words in ("plain, equal multiply-adds", "a tiny network", "C8 3x3, 16 channels"))
    assert tasks["inference of a network in onnxruntime"]["error"] < 1e-5
    assert "group convolutions" in page
    before = [row for row in record["rows"] if "memory" not in row["task"]]
    BenchFused(**small, parts=("memory",), keep=True).run()
    again = json.loads(small["out"].read_text())
    assert [row for row in again["rows"] if "memory" not in row["task"]] == before
    assert (len(again["rows"]), again["rates"]) == (len(record["rows"]), record["rates"])


def test_a_wrong_product_is_not_timed(small, monkeypatch):
    monkeypatch.setattr(nn.functional, "conv2d", lambda *rest, **options: torch.conv2d(*rest, **options) * 1.01)
    refuses(ArithmeticError, "orbitconv is wrong", lambda: BenchFused(**small, parts=("layers",)).run())


@pytest.mark.parametrize(("options", "words"), [({"parts": ("layer",)}, "expects parts out of"), ({}, "--overwrite")])
def test_it_refuses_before_it_measures(small, options, words):
    small["out"].write_text("{}")
    refuses((ValueError, FileExistsError), words, lambda: BenchFused(**small, **options).run())
