"""Problems of a study is said before anything is written or forgotten; what a record says brings it back."""

import json
import os
import shlex
from dataclasses import replace

import pytest
import torch
from torch import nn

from digits import small_digits
from orbitconv.records.command import command_of
from orbitconv.train import Augmentation
from studies.__main__ import parse
from studies.networks import compare_networks
from studies.networks.measurements import layer_rows
from studies.networks.separable import SeparableStudy, study_separable
from studies.networks.settings import RotatedMnistStudy
from studies.networks.stability import StabilityStudy
from studies.networks.trials import trials

BAD = {
    "data": ({"data": "minst"}, r"minst"),
    "model": ({"model": "smal"}, r"no network named 'smal'. Did you mean 'small'"),
    "option": ({"options": {"depth": 3}}, r"'small' has no option depth"),
    "own option": ({"options": {"width": 3}}, r"options of its own for width"),
    "kernel": ({"model": "resnet", "kernel_size": 4}, r"odd sides"),
    "atoms": ({"families": ("harmonic",), "atoms": 5}, r"3x3 kernels have 2, 4, 6 atoms, got dimension 5"),
    "images": ({"train_images": 201}, r"n <= 200"),
    "batch": ({"train_images": 49}, r"at least one batch of 50 images, got 49"),
    "spectral atoms": ({"families": ("spectral",), "atoms": 3}, r"cannot have 3 atoms"),
    "nothing": ({"families": ("exact",), "groups": ("c8",)}, r"nothing to compare"),
}


def contents(folder):
    return {path: path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.mark.parametrize("overwrite", [False, True])
@pytest.mark.parametrize("name", BAD)
def test_a_study_that_cannot_begin_leaves_what_is_there(study, tmp_path, name, overwrite):
    compare_networks(study(families=("plain", "spectral"), groups=("c8",)))
    before = contents(tmp_path)
    options, message = BAD[name]
    for out in ("run", "new"):
        with pytest.raises(ValueError, match=message):
            compare_networks(study(out=tmp_path / out, overwrite=overwrite, **options))
    assert contents(tmp_path) == before
    assert not (tmp_path / "new").exists()


def test_a_study_that_begins_anew_forgets_networks_and_bases_too(study):
    compare_networks(study(families=("plain", "spectral"), groups=("c8",), atoms=6))
    again = compare_networks(study(families=("spectral",), groups=("c8",), atoms=4, overwrite=True))
    assert {(row["family"], row["num_atoms"]) for row in again.rows} == {("spectral", 4)}
    assert [path.name for path in (study().out / "networks").iterdir()] == ["spectral-c8-1-epochs-seed-0"]


def test_several_processes_of_torchrun_are_refused(study, monkeypatch):
    monkeypatch.setattr("torch.distributed.is_torchelastic_launched", lambda: True)
    monkeypatch.setitem(os.environ, "WORLD_SIZE", "2")
    with pytest.raises(ValueError, match=r"study mnist trains each network in one process; .* without torchrun"):
        compare_networks(study())
    assert not study().out.exists()


def test_the_command_of_a_record_asks_for_all_that_is_in_it(study, tmp_path):
    compare_networks(study(True, families=("plain", "spectral"), groups=("c8",), seeds=2))
    last = compare_networks(
        study(True, families=("exact",), groups=("c4",), copies=(2,), results=tmp_path / "rotated_mnist_small.json")
    )
    words = shlex.split(last.command)
    assert words[-4:] == ["--out", "runs/rotated-mnist-small", "--results", "results/rotated_mnist_small.json"]
    found = parse(words[3:])
    assert found.settings() == last.config
    assert {(t.family, t.group, t.seed) for t in trials(found)} == {
        (family, group, seed)
        for family, group in (("plain", "c1"), ("spectral", "c8"), ("exact", "c4"))
        for seed in (0, 1)
    }
    assert found.copies == (2,)
    usual = compare_networks(study(True, families=("plain",))).command
    assert usual.endswith("--results results/rotated_mnist.json")
    assert " --out " not in usual


@pytest.mark.parametrize(
    "config",
    [
        StabilityStudy(ablations=("mean over the group", "3x3"), families=("spectral, disc", "plain")),
        StabilityStudy(ablations=(), step_degrees=15),
        RotatedMnistStudy(
            model="resnet",
            options={"depth": 20, "plain_widths": "a b"},
            augmentation=Augmentation(elastic=1.0),
            width=2.5,
        ),
    ],
)
def test_words_with_spaces_reach_the_command_line_whole(config):
    command = command_of(f"python -m studies {config.study}", config, config.name)
    assert parse(shlex.split(command)[3:]).settings() == config.settings()


def test_a_record_names_the_machines_that_made_it(study, tmp_path):
    first = compare_networks(study(families=("plain",)))
    there = {"system": "Elsewhere", "cores": 1024, "gpu": "large"}
    record = {**first.as_dict(), "commit": "f00", "machine": there}
    (tmp_path / "known.json").write_text(json.dumps(record))
    known = study(out=tmp_path / "other", families=("plain",), known=tmp_path / "known.json")
    only_there = compare_networks(known).as_dict()
    assert (only_there["commit"], only_there["machine"]) == ("f00", there)
    assert "machines" not in only_there
    both = compare_networks(replace(known, families=("plain", "exact"))).as_dict()
    assert both["machines"] == [there, first.as_dict()["machine"]]
    assert both["commit"].split(", ")[0] == "f00"
    (tmp_path / "known.json").write_text(json.dumps(both))
    again = compare_networks(replace(known, out=tmp_path / "third")).as_dict()
    assert again["machines"] == both["machines"]


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_study_of_cheaper_steps_that_cannot_begin_leaves_what_is_there(study, tmp_path, overwrite):
    compare_networks(study(families=("plain",)))
    before = contents(tmp_path)
    for out in ("run", "new"):
        with pytest.raises(ValueError, match="no network named 'smal'"):
            study_separable(SeparableStudy(out=tmp_path / out, model="smal", kernel_size=3, overwrite=overwrite))
    assert contents(tmp_path) == before
    assert not (tmp_path / "new").exists()


def test_layers_that_answer_to_turned_images_only_are_as_wrong_as_can_be():
    class Left(nn.Module):
        def forward(self, x):
            return x * (torch.arange(8) < 2)

    images = small_digits(2, "test")
    assert images.images[..., :2].any()
    images = replace(images, images=images.images * (torch.arange(8) >= 4).to(torch.uint8))
    errors = [row["equivariance_error"] for row in layer_rows(nn.Sequential(Left()), images, "after")]
    assert errors == [1.0]


def test_layers_of_which_nothing_comes_turn_as_they_should():
    network = nn.Sequential(nn.Conv2d(1, 2, 3, padding=1), nn.ReLU())
    nn.init.constant_(network[0].weight, -1.0)
    nn.init.constant_(network[0].bias, -1.0)
    images = small_digits(2, "test")
    assert [row["equivariance_error"] for row in layer_rows(network, images, "after")][-1] == 0.0
