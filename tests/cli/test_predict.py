"""`orbitconv predict` as a person calls it."""

import json

import numpy as np
import pytest
import torch

from orbitconv.cli import main
from orbitconv.train import Network, TrainConfig, build_network
from orbitconv.train.engine.state import weights_of
from orbitconv.train.networks import write_trained

image_module = pytest.importorskip("PIL.Image")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A trained network in `run`, its pictures in `pictures`, and things that are neither."""
    monkeypatch.chdir(tmp_path)
    config = TrainConfig(network=Network(model="small", basis="exact-c4", options={"width": 2}))
    network = build_network(config.network, 1, 3)
    path = tmp_path / "run" / "model.safetensors"
    write_trained(path, weights_of(network), config, 1, ("ant", "bee", "cow"), (12, 12))
    (tmp_path / "pictures").mkdir()
    pixels = np.random.default_rng(0).integers(0, 256, (30, 40, 4), dtype=np.uint8)
    image_module.fromarray(pixels).save(tmp_path / "pictures" / "large.png")
    image_module.fromarray(pixels[:12, :12, 0]).save(tmp_path / "pictures" / "small.png")
    (tmp_path / "pictures" / "notes.txt").write_text("no picture")
    (tmp_path / "text.png").write_text("no picture")
    (tmp_path / "empty").mkdir()
    (tmp_path / "cut.safetensors").write_bytes(path.read_bytes()[:-5])
    newer = path.read_bytes().replace(b'"version": "1"', b'"version": "9"')
    assert newer != path.read_bytes()
    (tmp_path / "newer.safetensors").write_bytes(newer)
    return tmp_path


def test_pictures_are_told_in_a_table_and_in_files(folder, capsys):
    main(["predict", "run", "pictures", "--turns", "4", "--csv", "a.csv", "--json", "b.json", "--device", "cpu"])
    shown = " ".join(capsys.readouterr().out.split())
    rows = json.loads((folder / "b.json").read_text())["rows"]
    assert [row["file"] for row in rows] == ["pictures/large.png", "pictures/small.png"]
    assert [(row["height"], row["width"]) for row in rows] == [(30, 40), (12, 12)]
    for row in rows:
        assert row["class"] in {"ant", "bee", "cow"}
        assert f"{row['class']} │ {row['probability']:.1%} │ {row['runner_up']}" in shown
    assert rows[1]["agreeing"] == 4  # exactly invariant
    assert "images of 12x12 pixels: grey, 1 of 2 cut to the middle and resized." in shown
    assert len((folder / "a.csv").read_text().splitlines()) == 3


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["run"], "one picture or folder of pictures, or more, got none"),
        (["nowhere", "pictures"], "nowhere is not there"),
        (["run", "pictures", "--csv", "pictures"], "--csv expects a file, got the folder pictures"),
        (["run", "pictures", "--json", "pictures/small.png/b"], "pictures/small.png cannot be written"),
        (["empty", "pictures"], "Is the training done?"),
        (["cut.safetensors", "pictures"], "is truncated"),
        (["newer.safetensors", "pictures"], "has format version 9; this orbitconv reads up to 1"),
        (["run", "text.png"], "text.png cannot be read as a picture"),
        (["run", "missing.png"], "missing.png is not there"),
        (["run", "empty"], "empty holds no pictures"),
        (["run", "pictures", "--turns", "0"], "turns >= 1"),
        (["run", "pictures", "--size", "0"], "size >= 1"),
        (["run", "pictures", "text.png", "--csv", "out.csv"], "text.png cannot be read"),
        (["run", "pictures", "--csv", "text.png/out.csv"], "text.png"),
    ],
)
def test_bad_input_ends_with_2_one_message_and_nothing_written(folder, capsys, arguments, words):
    before = sorted(folder.rglob("*"))
    with pytest.raises(SystemExit) as ended:
        main(["predict", *arguments])
    assert ended.value.code == 2
    told = capsys.readouterr()
    assert words in " ".join(told.err.split())
    assert "Traceback" not in told.err + told.out
    assert sorted(folder.rglob("*")) == before


@pytest.mark.parametrize(
    "error",
    [torch.OutOfMemoryError("CUDA out of memory."), RuntimeError("DefaultCPUAllocator: can't allocate memory: 8 TB.")],
)
def test_too_little_memory_says_what_to_lower(folder, capsys, monkeypatch, error):
    def fail(*_, **__):
        raise error

    monkeypatch.setattr("orbitconv.prediction.predicting.turned_probabilities", fail)
    with pytest.raises(SystemExit) as ended:
        main(["predict", "run", "pictures", "--csv", "a.csv", "--device", "cpu"])
    assert ended.value.code == 2
    told = " ".join(capsys.readouterr().err.split())
    assert f"The memory does not suffice for 2 images of 12x12 pixels: {error} Lower --size" in told
    assert "takes no images" not in told
    assert not (folder / "a.csv").exists()


def test_ctrl_c_ends_with_130(folder, capsys, monkeypatch):
    def stop(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("orbitconv.prediction.predicting.turned_probabilities", stop)
    with pytest.raises(SystemExit) as ended:
        main(["predict", "run", "pictures", "--csv", "a.csv"])
    assert ended.value.code == 130
    assert not (folder / "a.csv").exists()
