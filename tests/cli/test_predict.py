"""`orbitconv predict` as a person calls it."""

import json
import os

import numpy as np
import pytest
import torch

from orbitconv.cli import main
from orbitconv.prediction.predicting import turned_probabilities
from orbitconv.train import Network, TrainConfig, build_network
from orbitconv.train.engine.state import weights_of
from orbitconv.train.networks import write_trained
from refusals import ended, refused

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
    (tmp_path / "other.csv").write_text("name,page\na,0\n")
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
    assert "The network saw grey images of 12x12 pixels. Of 2 pictures 1 had another size: cropped" in shown
    assert "lowest probability: the smallest that a copy gives to the class of the mean" in shown
    assert len((folder / "a.csv").read_text().splitlines()) == 3


def test_a_long_table_is_cut_on_the_screen_where_a_file_holds_it(folder, capsys):
    few = [str(folder / "pictures" / "small.png")]
    for i in range(12):
        place = folder / f"a_folder_with_a_name_of_{i}" / "small_picture_of_the_folder.png"
        place.parent.mkdir()
        place.write_bytes((folder / few[0]).read_bytes())
        few.append(str(place.relative_to(folder)))
    main(["predict", "run", *few[1:], "--csv", "a.csv", "--device", "cpu"])
    told = capsys.readouterr().out
    assert told.count("small_picture_of_the_folder.png") == 10  # no line ends within a name
    assert "2 more in a.csv." in told
    assert len((folder / "a.csv").read_text().splitlines()) == 13
    main(["predict", "run", *few[1:], "--device", "cpu"])
    assert capsys.readouterr().out.count("small_picture_of_the_folder.png") == 12


@pytest.mark.parametrize(("arguments", "words"), [
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
    (["run", "text.png", "--csv", "out.csv"], "text.png cannot be read"),
    (["run", "text.png", "pictures", "--csv", "out.csv", "--max-unreadable", "1.5"], "between 0 and 1"),
    (["run", "pictures", "--out", "masks"], "--out and --objects are for masks"),
    (["run", "pictures", "--csv", "a", "--json", "a"], "two files, got a for both"),
    (["run", "pictures", "--resume"], "--resume expects a file to resume"),
    (["run", "pictures", "--resume", "--json", "pictures/notes.txt"], "holds no predictions to resume"),
    (["run", "pictures", "--resume", "--csv", "other.csv"], "holds no predictions to resume"),
    (["run", "pictures", "--csv", "text.png/out.csv"], "text.png"),
])  # fmt: skip
def test_bad_input_ends_with_2_one_message_and_nothing_written(folder, capsys, arguments, words):
    assert words in refused(capsys, ["predict", *arguments], folder=folder)


def test_a_picture_that_cannot_be_read_is_named_and_left_out(folder, capsys):
    main(["predict", "run", "text.png", "pictures", "--csv", "a.csv", "--device", "cpu"])
    assert "1 pictures were left out:" in (told := capsys.readouterr().out)
    assert "text.png cannot be read as a picture" in told
    assert len((folder / "a.csv").read_text().splitlines()) == 3
    (folder / "b.png").write_text("no picture")
    assert "cannot use 2 of 4 pictures" in refused(
        capsys, ["predict", "run", "text.png", "b.png", "pictures", "--json", "b.json"]
    )
    assert len(json.loads((folder / "b.json").read_text())["rows"]) == 2  # what was done is kept


def test_a_second_call_goes_on_where_the_first_was_stopped(folder, capsys):
    asked = ["predict", "run", "pictures", "--csv", "a.csv", "--json", "b.json", "--device", "cpu", "--resume"]
    main(asked)
    whole = [(folder / name).read_text() for name in ("a.csv", "b.json")]
    (folder / "a.csv").write_text(whole[0][:-10])
    before = json.loads(whole[1])
    (folder / "b.json").write_text(json.dumps({**before, "rows": before["rows"][:1]}))
    capsys.readouterr()
    main(asked)
    lines, after = (folder / "a.csv").read_text().splitlines(), json.loads((folder / "b.json").read_text())
    assert lines[:2] == whole[0].splitlines()[:2]
    assert [line.split(",")[:3] for line in lines] == [line.split(",")[:3] for line in whole[0].splitlines()]
    assert {**after, "rows": after["rows"][:1]} == {**before, "rows": before["rows"][:1]}
    assert after["rows"][1]["probability"] == pytest.approx(before["rows"][1]["probability"], abs=1e-6)
    told = capsys.readouterr().out
    assert "small.png" in told
    assert "large.png" not in told
    assert "1 pictures were done before" in told
    assert "holds predictions of another invert: False, got True" in refused(capsys, [*asked, "--invert"])
    told = refused(capsys, ["predict", "run", "pictures", "--csv", "a.csv", "--turns", "2", "--resume"])
    assert "a.csv holds predictions of 1 turns, got 2" in told
    assert (folder / "a.csv").read_text().splitlines() == lines


def test_ctrl_c_keeps_the_batches_that_are_done(folder, monkeypatch):
    monkeypatch.setattr("orbitconv.prediction.predicting._BATCH", 1)
    true, calls = turned_probabilities, []

    def stop(*given, **others):
        calls.append(1)
        if len(calls) > 1:
            raise KeyboardInterrupt
        return true(*given, **others)

    monkeypatch.setattr("orbitconv.prediction.predicting.turned_probabilities", stop)
    assert ended(["predict", "run", "pictures", "--csv", "a.csv", "--json", "b.json", "--device", "cpu"]) == 130
    assert len((folder / "a.csv").read_text().splitlines()) == 2
    assert len(json.loads((folder / "b.json").read_text())["rows"]) == 1


def test_stacks_and_names_that_are_no_utf_8_are_rows(folder, capsys):
    stack = np.random.default_rng(0).integers(0, 256, (3, 12, 12), dtype=np.uint8)
    frames = [image_module.fromarray(page) for page in stack]
    frames[0].save(folder / "film.gif", save_all=True, append_images=frames[1:])
    name = os.fsdecode(b"stra\xdfe.tif")
    frames[0].save(name, save_all=True, append_images=frames[1:])
    main(["predict", "run", name, "film.gif", "--csv", "a.csv", "--json", "b.json", "--device", "cpu"])
    rows = json.loads((folder / "b.json").read_text())["rows"]
    assert [(row["file"], row["page"]) for row in rows] == [
        *(("stra\\xdfe.tif", page) for page in range(3)), *(("film.gif", page) for page in range(3))
    ]  # fmt: skip
    assert rows[1]["probabilities"] == pytest.approx(np.array(rows[4]["probabilities"]), abs=0.02)
    assert rows[0]["probabilities"] != rows[1]["probabilities"]
    assert "stra\\xdfe.tif, page 2" in capsys.readouterr().out


@pytest.mark.parametrize(
    "error",
    [torch.OutOfMemoryError("CUDA out of memory."), RuntimeError("DefaultCPUAllocator: can't allocate memory: 8 TB.")],
)
def test_too_little_memory_says_what_to_lower(folder, capsys, monkeypatch, error):
    def fail(*_, **__):
        raise error

    monkeypatch.setattr("orbitconv.prediction.predicting.turned_probabilities", fail)
    told = refused(capsys, ["predict", "run", "pictures", "--csv", "a.csv", "--device", "cpu"])
    assert f"The memory does not suffice for 2 images of 12x12 pixels: {error} Lower --size" in told
    assert "takes no images" not in told
    assert not (folder / "a.csv").exists()


def test_ctrl_c_ends_with_130(folder, capsys, monkeypatch):
    def stop(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("orbitconv.prediction.predicting.turned_probabilities", stop)
    assert ended(["predict", "run", "pictures", "--csv", "a.csv"]) == 130
    assert not (folder / "a.csv").exists()
