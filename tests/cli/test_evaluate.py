"""`orbitconv evaluate` as a person calls it."""

import json

import pytest
import torch

import tiny_training as tiny
from orbitconv.cli import main
from orbitconv.cli.evaluate import _errors
from orbitconv.records.record import Record
from orbitconv.train import Network, TrainConfig, build_network
from orbitconv.train.datasets import LOADERS
from orbitconv.train.engine.state import weights_of
from orbitconv.train.networks import write_trained
from refusals import ended, refused

pytestmark = pytest.mark.usefixtures("tiny_by_name")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    config = TrainConfig(data="tiny", network=Network(model="small", basis="exact-c4", options={"width": 2}))
    network = build_network(config.network, 1, 2)
    path = tmp_path / "run" / "model.safetensors"
    write_trained(path, weights_of(network), config, 1, ("left", "right"), (tiny.SIDE, tiny.SIDE))
    return tmp_path


def test_errors_and_layers_are_told_in_tables_and_in_a_record(folder, capsys):
    main(["evaluate", "run", "--angles", "0", "90", "--layers", "--layer-images", "4", "--results", "here/record.json",
          "--device", "cpu"])  # fmt: skip
    shown = " ".join(capsys.readouterr().out.split())
    record = json.loads((folder / "here" / "record.json").read_text())
    upright, random, none, quarter = (row["test_error_percent"] for row in record["rows"])
    assert upright == none == quarter
    for name, error in (("as they are", upright), ("each at its own angle", random), ("turned by 90 degrees", quarter)):
        assert f"{name} │ {error:.2f}" in shown
    assert "Equivariance error under C4, 4 images" in shown
    assert record["equivariance"]["layers"][-1]["layer"] in shown


def test_images_that_are_turned_already_are_rotated_and_not_turned_again(folder, monkeypatch, capsys):
    monkeypatch.setitem(LOADERS, "rotated-tiny", tiny.tiny_images)
    main(["evaluate", "run", "--data", "tiny", "--angles", "--results", "upright.json", "--device", "cpu"])
    main(["evaluate", "run", "--data", "rotated-tiny", "--results", "record.json", "--device", "cpu"])
    (as_they_are, _), (turned,) = (
        json.loads((folder / name).read_text())["rows"] for name in ("upright.json", "record.json")
    )
    assert (as_they_are["test"], turned["test"]) == ("upright", "rotated")  # the same images under another name
    assert turned["test_error_percent"] == as_they_are["test_error_percent"]
    assert "each at its own angle" in capsys.readouterr().out
    told = refused(capsys, ["evaluate", "run", "--data", "rotated-tiny", "--angles", "0", "90", "--device", "cpu"])
    assert "no --angles for a data set that is turned already: one more turn would blur" in told
    assert "got rotated-tiny" in told


def test_a_place_that_cannot_be_written_is_refused_before_the_tests(folder, capsys, monkeypatch):
    (folder / "file").write_text("mine")
    monkeypatch.setattr("orbitconv.evaluation.evaluation.error_percent", lambda *_: pytest.fail("tested"))
    assert "file cannot be written" in refused(capsys, ["evaluate", "run", "--results", "file/record.json"])


def test_ctrl_c_ends_with_130_and_leaves_no_record(folder, capsys, monkeypatch):
    def stop(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("orbitconv.evaluation.evaluation.error_percent", stop)
    assert ended(["evaluate", "run", "--results", "record.json", "--device", "cpu"]) == 130
    assert "Traceback" not in capsys.readouterr().err
    assert [path.name for path in folder.iterdir()] == ["run"]


@pytest.mark.parametrize(
    "error", [torch.OutOfMemoryError("CUDA out of memory."), RuntimeError("DefaultCPUAllocator: can't allocate memory")]
)
def test_too_little_memory_is_one_message(folder, capsys, monkeypatch, error):
    def fail(*_):
        raise error

    monkeypatch.setattr("orbitconv.evaluation.evaluation.error_percent", fail)
    assert "the memory does not suffice" in refused(capsys, ["evaluate", "run", "--device", "cpu"])


@pytest.mark.parametrize(("arguments", "words"), [
    ([], "Required options"),
    (["nowhere"], "nowhere is not there"),
    (["run", "--data", "tinny"], "no folder or data set 'tinny'. Did you mean 'tiny'?"),
    (["run", "--angles", "nan"], "finite angles"),
    (["run", "--angles", "north"], "north"),
    (["run", "--test-images", "65"], "n <= 64"),
    (["run", "--layer-images", "0"], "layer_images >= 1"),
])  # fmt: skip
def test_bad_words_end_with_2_and_one_message(folder, capsys, arguments, words):
    assert words in refused(capsys, ["evaluate", *arguments, "--results", "record.json"], folder=folder)


@pytest.mark.parametrize(("figures", "words"), [({}, "another class"), ({"mean_iou": 0.5}, "taken as the true one")])
def test_the_column_of_changes_is_explained_for_classes_and_for_masks(figures, words):
    rows = [{"test": "rotated", "degrees": None, "test_error_percent": 1.0, "changed_percent": 2.0}]
    record = Record(study="evaluation", command="", config={"copies": 1, "data": "pictures"}, rows=rows)
    record.extra["figures"] = figures
    assert words in _errors(record).caption
