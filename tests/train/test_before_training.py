"""`orbitconv train` on a folder: names are checked before a picture is read, and what happens is told once."""

import shlex
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from orbitconv.bases import load_basis, save_basis
from orbitconv.cli.main import main
from orbitconv.data import folder as open_folder
from orbitconv.models import build_model
from orbitconv.train import Builder, Network, TrainConfig, build_network, fit, read_trained
from orbitconv.train.engine.state import weights_of
from orbitconv.train.networks import write_trained
from orbitconv.train.prepared import from_folder

IMAGE = pytest.importorskip("PIL.Image")
SMALL = ["--network.basis", "none", "--network.options", "plain_width", "2", "--training.epochs", "2",
         "--training.batch-size", "8", "--hardware.device", "cpu"]  # fmt: skip


@pytest.fixture
def place(tmp_path, monkeypatch):
    """Bright and dark pictures, for training, validation and testing; masks/ holds pictures with masks."""
    monkeypatch.chdir(tmp_path)
    draws = np.random.default_rng(0)
    for split, n in (("train", 16), ("val", 4), ("test", 6)):
        for i in range(n):
            _save(f"pictures/{split}/{'ab'[i % 2]}/{i}.png", draws.integers(0, 100, (8, 8)) + 120 * (i % 2))
    for i in range(4):
        _save(f"masked/images/{i}.png", draws.integers(0, 200, (8, 8)))
        _save(f"masked/masks/{i}.png", draws.integers(0, 2, (8, 8)))
    return tmp_path


def _save(name, pixels):
    Path(name).parent.mkdir(parents=True, exist_ok=True)
    IMAGE.fromarray(pixels.astype(np.uint8)).save(name)


@pytest.fixture
def untrusted(place, monkeypatch):
    """A file whose network another package builds."""
    package = SimpleNamespace(build=lambda: build_model("small", None, plain_width=2, num_classes=2))
    monkeypatch.setitem(sys.modules, "theirs", package)
    fit(Builder("theirs:build"), open_folder("pictures"), epochs=1, batch_size=8).save(place / "theirs.safetensors")


@pytest.fixture
def own_basis(place):
    """A network whose basis came from a file."""
    save_basis(load_basis("spectral-c8-k3"), place / "basis.safetensors")
    config = TrainConfig(network=Network(basis=str(place / "basis.safetensors"), options={"width": 1}))
    weights = weights_of(build_network(config.network, 1, 2))
    write_trained(place / "own-basis.safetensors", weights, config, 1, ("a", "b"))


@pytest.mark.usefixtures("untrusted", "own_basis")
@pytest.mark.parametrize(("words", "message"), [
    (["--network.basis", "spectrul-c8-k3"], "Did you mean 'spectral-c8-k3'?"),
    (["--network.basis", "mine.safetensors"], "mine.safetensors"),
    (["--network.model", "resnett"], "no network named 'resnett'"),
    (["--network.options", "widht", "3"], "has no option widht"),
    (["--network.model", "missing.safetensors"], "missing.safetensors is not there"),
    (["--network.model", "theirs.safetensors"], "--trust theirs"),
    (["--network.model", "own-basis.safetensors"], "the basis of its network came from a file"),
    (["--data", "masked", "--network.options", "dropout", "0.1"], "The network 'unet' has no option dropout"),
    (["--data", "masked", "--network.model", "resnet"], "expects unet, which labels pixels, for segmentation"),
    (["--network.model", "unet"], "another network than unet"),
])  # fmt: skip
def test_a_wrong_name_is_refused_before_a_picture_is_opened(monkeypatch, capsys, words, message):
    monkeypatch.setattr("orbitconv.train.prepared.folder", lambda *_, **__: pytest.fail("pictures were read"))
    with pytest.raises(SystemExit) as stopped:
        main(["train", "--data", "pictures", "--out", "run", *words])
    assert stopped.value.code == 2
    shown = capsys.readouterr()
    assert message in shown.err
    assert shown.out == ""


@pytest.mark.usefixtures("place")
def test_reading_all_splits_is_one_progress():
    told = []
    from_folder(open_folder("pictures"), progress=lambda *one: told.append(one))
    assert told == [("read pictures", done, 26) for done in range(1, 27)]


@pytest.mark.usefixtures("place")
def test_a_training_tells_of_few_steps_once_and_names_the_next_commands(capsys):
    main(["train", "--data", "pictures", *SMALL, "--out", "my run"])
    shown = capsys.readouterr().out
    assert shown.count("check pictures: done") == shown.count("read pictures: done") == 1
    assert shown.count("An epoch has 2 steps, the training 4: few to learn from.") == 1
    assert shown.endswith(
        "Network: my run/model.safetensors\nNext: orbitconv evaluate 'my run'\n"
        "      orbitconv report 'my run' --out 'my run.html'\n"
    )
    main(["train", "--data", "pictures", *SMALL, "--training.batch-size", "1", "--out", "other"])
    assert "few to learn from" not in capsys.readouterr().out


@pytest.mark.parametrize("basis", ["none", "exact-c4-k3"])
@pytest.mark.usefixtures("place")
def test_a_training_begins_with_a_trained_network_of_the_library(basis):
    short = shlex.split("train --data pictures --training.epochs 1 --training.batch-size 8")
    main([*short, "--network.options", "plain_width", "2", "--network.basis", basis, "--out", "first"])
    begun = ["--network.model", "first/model.safetensors", "--training.learning-rate", "1e-9"]
    main([*short, *begun, "--out", "second"])
    first, second = (read_trained(name) for name in ("first", "second"))
    assert second.config.network.basis == basis
    torch.testing.assert_close(list(first.network.parameters()), list(second.network.parameters()), rtol=0, atol=1e-6)
