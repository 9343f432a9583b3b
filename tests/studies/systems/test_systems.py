"""The study of systems: networks of one size, exact where the table says so; the record agrees with the code."""

import json

import pytest
import torch

import studies.__main__ as studies
from orbitconv.data import ImageSet
from orbitconv.models import count_multiply_adds, count_parameters
from references import smooth_images
from studies.base.results import RESULTS, record
from studies.base.summary import where
from studies.pages.systems import lattices
from studies.systems.measure import ANGLES, equivariance_errors
from studies.systems.study import SystemsStudy, build
from studies.systems.systems import SYSTEMS

EXACT = {"-": (), "90": (90,), "60": (60,)}


@pytest.mark.parametrize("system", SYSTEMS, ids=lambda system: system.name)
def test_every_system_is_exact_where_it_says_and_nowhere_else(system):
    network = build(system, 0, plain_width=4)
    errors = equivariance_errors(network, torch.rand(4, 1, 20, 20, generator=torch.manual_seed(0)))
    exact = EXACT[system.exact.partition(",")[0]]
    assert all((errors[f"error_{angle}"] < 1e-5) == (angle in exact) for angle in ANGLES)


def test_a_small_run_trains_each_system_and_compares_the_lattices(tmp_path, monkeypatch, capsys):
    def load(name, split, **_):
        images = smooth_images(60, 20 if name == "mnist" else 24, seed=len(split))
        low, high = images.amin(), images.amax()
        labels = torch.arange(len(images)) % 10
        pixels = (255 * (images - low) / (high - low)).byte()
        return ImageSet(images=pixels, labels=labels, classes=tuple("0123456789"), name=name, split=split)

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("studies.systems.study.load", load)
    monkeypatch.setattr("studies.systems.study.SYSTEMS", SYSTEMS[:2])
    words = "--seeds 1 --train-images 40 --test-images 20 --plain-width 4 --basis-images 60 --rounds 1"
    studies.main(["systems", *words.split(), "--training.epochs", "1", "--training.batch-size", "20",
                  "--results", "record.json"])  # fmt: skip
    found = json.loads((tmp_path / "record.json").read_text())
    assert [(row["family"], row["test"]) for row in found["rows"]] == [
        (name, test) for name in ("plain", "p4") for test in ("upright", "rotated")
    ]
    assert {row["lattice"] for row in found["bases"]} == {"square", "hexagonal"}
    assert "p4" in capsys.readouterr().out


@pytest.mark.skipif(not (RESULTS / "systems.json").exists(), reason="no record yet")
def test_the_record_agrees_with_the_networks_of_today():
    rows = record("systems")["rows"]
    for system in SYSTEMS:
        network = build(system, 0, SystemsStudy().plain_width)
        (row,) = where(rows, family=system.name, seed=0, test="rotated")
        assert row["parameters"] == count_parameters(network)
        assert row["multiply_adds"] == count_multiply_adds(network, (1, 28, 28))
    assert lattices().count("\n") > 5
