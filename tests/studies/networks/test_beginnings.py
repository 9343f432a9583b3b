"""Problems of a study is said before anything is written or forgotten; what a record says brings it back."""

import os
import shlex

import pytest

from studies.__main__ import parse
from studies.networks import compare_networks
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
