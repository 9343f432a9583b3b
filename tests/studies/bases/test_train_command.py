"""`train-basis` as a person calls it: what is written, and that refusals write nothing."""

import json

import numpy as np
import pytest

from orbitconv.bases import load_basis
from orbitconv.cli.main import main as run_command
from studies.__main__ import main as run_study

image = pytest.importorskip("PIL.Image")

SHORT = ["--training.steps", "6", "--training.batch-size", "3", "--training.check-every", "3"]


def main(words):
    """Run `learn-basis` of the library, or a study."""
    (run_command if words[0] == "learn-basis" else run_study)(words)


def save(folder, *sizes, constant=False):
    folder.mkdir()
    for number, size in enumerate(sizes):
        pixels = np.random.default_rng(number).integers(0, 256, (size, size), dtype=np.uint8)
        image.fromarray(np.full_like(pixels, 7) if constant else pixels).save(folder / f"{number}.png")


@pytest.fixture
def pictures(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    save(tmp_path / "pictures", *[96] * 8)
    return tmp_path


def refused(capsys, *words):
    with pytest.raises(SystemExit) as stopped:
        main([*map(str, words)])
    assert stopped.value.code == 2
    shown = capsys.readouterr()
    assert "Traceback" not in shown.out + shown.err
    return " ".join((shown.out + shown.err).split())


def test_training_prints_a_table_and_leaves_a_basis_a_record_and_a_curve(pictures, capsys):
    main(["train-basis-paper", "--images", "pictures", *SHORT, "--results", "here/r.json"])
    shown = capsys.readouterr().out
    assert all(words in shown for words in ("learned, average", "gaussian, sigma 0.3", "45°", "90°", "held out"))
    folder = pictures / "runs" / "train-basis"
    names = ["basis.safetensors", "curve.png", "curve.svg", "seed-0", "train_basis.json"]
    assert sorted(path.name for path in folder.iterdir()) == names
    assert load_basis(str(folder / "basis.safetensors")).metadata["settings"]["start"] == "random"
    record = json.loads((pictures / "here" / "r.json").read_text())
    assert record == json.loads((folder / "train_basis.json").read_text())
    assert record["command"].startswith("python -m studies train-basis-paper --images pictures --training.batch-size 3")
    assert record["curves"][0]["step"] == [0, 3, 6]
    main(["train-basis-paper", "--images", "pictures", *SHORT, "--resume"])  # nothing left to do
    assert capsys.readouterr().out.count("learned, average") == 1


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--images", "missing"], "missing is no folder"),
        (["--images", "empty"], "holds no pictures"),
        (["--images", "small"], "at least 96x96 pixels, got none larger than 40x40"),
        (["--images", "constant"], "got 8 constant ones"),
        (["--images", "pictures", "--kernel-size", "99"], "at least 141 pixels a side"),
        (["--images", "pictures", "--group", "e8"], "C8 or D4"),
    ],
)
@pytest.mark.parametrize("command", ["train-basis", "learn-basis"])
def test_images_that_teach_nothing_are_refused_and_nothing_is_written(pictures, capsys, command, words, message):
    save(pictures / "empty")
    save(pictures / "small", 40, 40)
    save(pictures / "constant", *[96] * 8, constant=True)
    before = sorted(pictures.rglob("*"))
    out = ["--out", "new/a.safetensors" if command == "learn-basis" else "new/run"]
    more = SHORT if command == "train-basis" else []
    assert message in refused(capsys, command, *words, *out, *more)
    assert sorted(pictures.rglob("*")) == before


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--kernel-size", "2", "--max-error", "1e-3"], "no orbit of relative error 0.001 or less; the best of a 2x2"),
        (["--max-error", "0"], "--max-error above zero"),
        (["--max-error", "nan"], "--max-error above zero"),
        (["--dimension", "10"], "10"),
        (["--dimension", "0"], "dimension >= 1"),
        (["--dimension", "6", "--max-error", "0.1"], "one of --dimension and --max-error"),
        (["--max-frequency", "3", "--family", "unitary"], "of spectral bases"),
        (["--max-frequency", "-1"], "of zero or more"),
        (["--max-error", "0.1", "--family", "unitary"], "of spectral bases"),
    ],
)
def test_a_size_or_an_error_budget_that_no_basis_meets_is_refused(pictures, capsys, words, message):
    before = sorted(pictures.rglob("*"))
    assert message in refused(capsys, "learn-basis", "--images", "pictures", "--out", "new/a.safetensors", *words)
    assert sorted(pictures.rglob("*")) == before


def test_a_learned_basis_is_cut_to_a_dimension_or_to_an_error_budget(pictures):
    main(["learn-basis", "--images", "pictures", "--out", "all.safetensors"])
    main(["learn-basis", "--images", "pictures", "--out", "four.safetensors", "--dimension", "4"])
    whole, four = load_basis("all.safetensors"), load_basis("four.safetensors")
    assert (four.num_atoms, four.metadata["recommended_dimension"]) == (4, 4)
    errors = whole.metadata["errors"]
    budget = (errors[2] + errors[3]) / 2
    main(["learn-basis", "--images", "pictures", "--out", "budget.safetensors", "--max-error", str(budget)])
    budgeted = load_basis("budget.safetensors")
    assert budgeted.num_atoms == sum(error <= budget for error in errors)
    assert max(budgeted.metadata["errors"]) <= budget


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--out", "file"], "file is a file"),
        (["--out", "file/below"], "file is a file"),
        (["--out", "pictures"], "--resume"),
        (["--seeds", "0"], "seeds >= 1"),
        (["--training.held-out", "2"], "held_out between 0 and 1"),
        (["--training.learning-rate", "fast"], "fast"),
        (["--training.batch-size", "8"], "more images than one batch of 8"),
    ],
)
def test_bad_words_for_a_training_are_refused_and_nothing_is_written(pictures, capsys, words, message):
    (pictures / "file").write_text("mine")
    before = sorted(pictures.rglob("*"))
    assert message in refused(capsys, "train-basis", "--images", "pictures", *words)
    assert sorted(pictures.rglob("*")) == before
