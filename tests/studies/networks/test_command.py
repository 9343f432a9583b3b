"""`python -m studies NAME` for networks, as a person calls it."""

import json
import signal

import pytest

from digits import small_digits
from orbitconv.train import loop
from orbitconv.train.datasets import LOADERS
from studies.__main__ import main
from studies.networks import STUDIES

SMALL = ["--families", "plain", "exact", "--groups", "c4", "--kernel-size", "3", "--plain-width", "4",
         "--model", "small", "--training.epochs", "1", "--training.batch-size", "50", "--seeds", "2"]  # fmt: skip


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """A folder to work in, and all data sets small digits."""
    for name in ("mnist", "fashion-mnist", "rotated-mnist", "cifar10", "rotated-cifar10"):
        monkeypatch.setitem(LOADERS, name, lambda split, **_: small_digits(200 if split == "train" else 50, split))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("name", STUDIES)
def test_a_study_is_one_command(folder, capsys, name):
    main(["study", name, *SMALL, "--results", "here/record.json"])
    shown = capsys.readouterr().out
    record = json.loads((folder / "here" / "record.json").read_text())
    tests = ["rotated"] if name.startswith("rotated") else ["upright", "rotated"]
    assert [row["test"] for row in record["rows"]] == tests * 4
    out = folder / "runs" / name
    assert json.loads((out / f"{name.replace('-', '_')}.json").read_text())["rows"] == record["rows"]
    assert (out / f"{name.replace('-', '_')}.png").read_bytes().startswith(b"\x89PNG")
    assert "exact C4" in shown
    for test in tests:
        own = [row for row in record["rows"] if (row["family"], row["test"]) == ("exact", test)]
        errors = [row["test_error_percent"] for row in own]
        assert f"{sum(errors) / 2:.2f}" in shown


def test_stability_is_one_command(folder, capsys):
    main(["stability", *SMALL, "--rotations", "none", "circle", "--train-images", "100", "--curve-images",
          "20", "--step-degrees", "90", "--layer-images", "5", "--ablations"])  # fmt: skip
    shown = capsys.readouterr().out
    rows = json.loads((folder / "runs" / "stability" / "stability.json").read_text())["rows"]
    assert {row["rotation"] for row in rows} == {"none", "circle"}
    assert {path.name for path in (folder / "runs" / "stability").glob("*.png")} == {
        "stability_angles.png", "stability_layers.png",
    }  # fmt: skip
    assert "Stability: families" in shown
    assert "circle" in shown


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["mnist", "--families", "exakt"], "exakt"),
        (["mnist", "--groups", "k8"], "k8"),
        (["mnist", "--seeds", "0"], "seeds >= 1"),
        (["mnist", "--train-images", "1000"], "n <= 200"),
        (["mnist", "--out", "file"], "file is a file"),
        (["mnist", "--out", "taken"], "--overwrite"),
        (["mnist", "--known", "missing.json"], "missing.json"),
        (["mnist", "--known", "file"], "no record of a study"),
        (["mnist", "--results", "file/record.json"], "file cannot be written"),
        (["stability", "--step-degrees", "7"], "divides 360"),
        (["stability", "--ablations", "no filters"], "ablations out of"),
    ],
)
def test_bad_words_end_with_2_and_one_message_and_nothing_is_written(folder, capsys, words, message):
    (folder / "file").write_text("mine")
    (folder / "taken").mkdir()
    (folder / "taken" / "result").write_text("mine")
    before = sorted(folder.rglob("*"))
    with pytest.raises(SystemExit) as ended:
        main(["study", words[0], *SMALL, *words[1:]])
    assert ended.value.code == 2
    told = capsys.readouterr()
    assert message in " ".join(told.err.split())
    assert "Traceback" not in told.err + told.out
    assert sorted(folder.rglob("*")) == before


def test_ctrl_c_ends_with_130_and_the_same_command_goes_on(capsys, monkeypatch):
    real, steps = loop.train_step, []

    def stopped_in_the_third(*arguments):
        steps.append(1)
        if len(steps) == 3:
            signal.raise_signal(signal.SIGINT)
        return real(*arguments)

    monkeypatch.setattr(loop, "train_step", stopped_in_the_third)
    with pytest.raises(SystemExit) as ended:
        main(["mnist", *SMALL])
    assert ended.value.code == 130
    assert "Traceback" not in capsys.readouterr().err
    main(["mnist", *SMALL])
    assert len(steps) == 4 * 4  # four networks of four steps, none of them twice
