"""Every study as a person calls it: its smallest run, and words that it refuses."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from digits import load_small_digits, small_digits
from orbitconv.train.datasets import LOADERS
from orbitconv.train.engine import loop
from refusals import ended, refused
from studies.__main__ import STUDIES, WORK, _load, main, parse
from studies.mlp_to_cnn import study as mlp_to_cnn

pytest.importorskip("matplotlib")
IMAGE = pytest.importorskip("PIL.Image")

CASE = "expansion-c8-k3-f16"
NETWORKS = ["--families", "plain", "exact", "--groups", "c4", "--kernel-size", "3", "--plain-width", "4",
            "--training.epochs", "1", "--training.batch-size", "50"]  # fmt: skip
BASES = ["--training.steps", "6", "--training.batch-size", "3", "--training.check-every", "3"]
ACTION = ["--data", "pictures", "--pairs", "60", "--held-out", "10", "--patch", "5"]
# The smallest run of each study, and a word that its table shows.
SMALLEST = {
    "train-basis": (["--images", "tiles", *BASES], "learned, average"),
    "train-basis-paper": (["--images", "tiles", *BASES], "gaussian, sigma 0.3"),
    **{name: ([*NETWORKS, "--seeds", "2", "--model", "small"], "exact C4")
       for name in ("mnist", "fashion-mnist", "rotated-mnist", "cifar10", "rotated-cifar10")},
    "stability": ([*NETWORKS, "--rotations", "none", "--train-images", "100", "--curve-images", "20", "--step-degrees",
                   "90", "--layer-images", "5", "--ablations"], "Stability: families"),
    "separable": ([*NETWORKS[5:], "--rounds", "2", "--seeds", "1"], "Group convolutions in cheaper steps"),
    "mlp-to-cnn": (["--seeds", "1", "--train-images", "200", "--test-images", "50", "--pairs", "200", "--reach", "3",
                    "--curve-pairs", "12", "200", "--curve-pair-labels", "60", "--curve-labels", "20", "60",
                    "--curve-steps", "4", "--training.epochs", "1", "--training.batch-size", "50"],
                   "Learned from few pairs"),
    "learn-action": (["--transform", "moves:negative", *ACTION, "--order", "2"], "closure, order 2"),
}  # fmt: skip
# Studies on the real data sets.
REAL = {
    "compare-bases": (["--kernel-sizes", "3", "--fit-images", "60", "--test-images", "20", "--no-photographs",
                       "--orders", "2", "--orders-images", "20"], "Unitary bases of C1 to C2: the worst of all"),
    "bases-trained": (["--seeds", "1", "--kernel-sizes", "3", "--train-images", "64", "--fit-images", "50",
                       "--test-images", "20", "--curve-images", "5", "--parameters", "2000", "--training.epochs", "1",
                       "--training.batch-size", "32"], "basis error"),
    "learned-basis": (["--variants", "default", "--seeds", "1", "--copies", "1", "--max-images", "1200",
                       "--test-images", "20"], "unitarity"),
}  # fmt: skip
# Studies that show tables and draw nothing.
TABLES_ONLY = {"bases-trained", "learned-basis", "separable", "train-basis", "train-basis-paper"}

REFUSED = [
    (["mnits"], "Did you mean 'mnist'?"),
    (["mnist", "--families", "exakt"], "exakt"),
    (["mnist", "--groups", "k8"], "k8"),
    (["mnist", "--seeds", "0"], "seeds >= 1"),
    (["mnist", "--train-images", "1000"], "n <= 200"),
    (["mnist", "--out", "file"], "file is a file"),
    (["mnist", "--out", "taken"], "--overwrite"),
    (["mnist", "--known", "missing.json"], "missing.json"),
    (["mnist", "--known", "file"], "no record of a study"),
    (["mnist", "--known", "list.json"], "no record of a study"),
    (["mnist", "--known", "deep.json"], "no record of a study"),
    (["mnist", "--results", "file/record.json"], "file cannot be written"),
    (["stability", "--step-degrees", "7"], "divides 360"),
    (["stability", "--ablations", "no filters"], "ablations out of"),
    (["separable", "--mixing", "full"], "chooses mixing and width itself"),
    (["separable", "--families", "plain"], "one family with a basis"),
    (["mlp-to-cnn", "--reach", "-3"], "--reach >= 0"),
    (["mlp-to-cnn", "--curve-labels", "1"], "two labels or more"),
    (["bases-trained", "--group", "e8"], "C8 or D4"),
    (["compare-bases", "--orders", "-1"], "orders >= 0"),
    (["train-basis", "--images", "missing"], "missing is no folder"),
    (["train-basis", "--images", "pictures", "--out", "file"], "file is a file"),
    (["train-basis", "--images", "pictures", "--out", "taken"], "--resume"),
    (["train-basis", "--seeds", "0"], "seeds >= 1"),
    (["train-basis", "--images", "pictures", "--training.held-out", "2"], "held_out between 0 and 1"),
    (["train-basis", "--training.learning-rate", "fast"], "fast"),
    (["learn-action", "--transform", "quater-turn"], "Did you mean 'quarter-turn'?"),
    (["learn-action", "--transform", "mover:negative"], "No module named 'mover'"),
    (["learn-action", "--transform", "moves:positive"], "has no attribute 'positive'"),
    (["learn-action", "--transform", "moves:number"], "of type int"),
    (["learn-action", "--transform", "moves:crop", *ACTION], "must return the shape that it gets"),
    (["learn-action", "--transform", "mirror", "--data", "nowhere"], "got 'nowhere', neither"),
    (["learn-action"], "--transform"),
    (["eurosat", "--data-dir", "nowhere"], "a folder eurosat/ of pictures"),
    (["eurosat", "--bases", "spectral-c8-k5"], "bases of 3x3 kernels"),
    (["eurosat", "--time-of", "spectral-c4-k3"], "time_of out of"),
    (["nuclei", "--data-dir", "nowhere"], "a folder nuclei/ of pictures"),
    (["nuclei", "--window", "0"], "window >= 1"),
    (["streaming", "--window", "2000"], "window of at most 1024"),
    (["bench", "--cases", "nonsense"], "nonsense"),
    (["bench", "--repeats", "0"], "repeats >= 1"),
    (["bench", "--peers", "nobody"], "nobody"),
    (["bench", "--kernel"], "Run orbitconv build-kernel first"),
    (["bench", "--out", "x.txt"], "ending in .json"),
]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder to work in, with pictures and functions; all data sets are small digits."""
    for name in LOADERS:
        monkeypatch.setitem(LOADERS, name, lambda split, **_: small_digits(200 if split == "train" else 50, split))
    monkeypatch.setattr(mlp_to_cnn, "load", load_small_digits)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delitem(sys.modules, "moves", raising=False)
    (tmp_path / "pictures").mkdir()
    noise = np.random.default_rng(0).integers(0, 256, size=(300, 300, 3), dtype=np.uint8)
    IMAGE.fromarray(noise).save(tmp_path / "pictures" / "noise.png")
    (tmp_path / "tiles").mkdir()
    for n in range(8):
        IMAGE.fromarray(noise[20 * n :][:96, :96]).save(tmp_path / "tiles" / f"{n}.png")
    (tmp_path / "moves.py").write_text(
        "def negative(x):\n    return -x\n\ndef crop(x):\n    return x[..., 1:]\n\nnumber = 3\n"
    )
    return tmp_path


def smoke(folder, capsys, name, words, shown):
    """Run a study; give its record."""
    main([name, *words, "--results", "here/record.json"])
    record = json.loads((folder / "here" / "record.json").read_text())
    out = next((folder / "runs").iterdir())
    assert json.loads((out / f"{record['study']}.json").read_text())["rows"] == record["rows"]
    assert record["command"].startswith(f"python -m studies {name} ")
    pictures = [path for path in out.glob("*.png") if path.read_bytes().startswith(b"\x89PNG")]
    assert bool(pictures) == (name not in TABLES_ONLY)
    assert all(path.with_suffix(".svg").exists() for path in pictures)
    printed = " ".join(capsys.readouterr().out.split())
    assert shown in printed
    return record, printed


@pytest.mark.parametrize("name", SMALLEST)
def test_a_study_is_one_command_that_leaves_record_figures_and_a_table(folder, capsys, name):
    record, printed = smoke(folder, capsys, name, *SMALLEST[name])
    for test in {row["test"] for row in record["rows"]} if SMALLEST[name][1] == "exact C4" else ():
        own = [row for row in record["rows"] if (row["family"], row["test"]) == ("exact", test)]
        assert f"{sum(row['test_error_percent'] for row in own) / 2:.2f}" in printed


@pytest.mark.parametrize("name", REAL)
def test_a_study_of_real_images_is_one_command(tmp_path, monkeypatch, data_dir, capsys, name):
    monkeypatch.chdir(tmp_path)
    words, shown = REAL[name]
    if name == "learned-basis":
        monkeypatch.setattr("studies.bases.train_basis.training_of", lambda _: _short())
    smoke(tmp_path, capsys, name, [*words, "--data-dir", str(data_dir)], shown)


def _short():
    from orbitconv.learn import BasisTraining

    return BasisTraining(steps=6, batch_size=8, check_every=3)


def test_a_benchmark_writes_a_record_a_page_and_figures(folder, capsys):
    main(["bench", "--quick", "--threads", "1", "--cases", CASE, "--peers", "--out", "results/m.json"])
    assert sorted(path.name for path in (folder / "results").iterdir()) == ["m.json", "m.md", "m.png", "m.svg"]
    assert "| C8 3x3" in (folder / "results" / "m.md").read_text()
    assert "Weight from coefficients and back, over one pass over the weight" in " ".join(
        capsys.readouterr().out.split()
    )


@pytest.mark.parametrize(("words", "message"), REFUSED, ids=lambda value: " ".join(value) if value else None)
def test_bad_words_end_with_2_and_one_message_and_nothing_is_written(folder, capsys, words, message):
    (folder / "file").write_text("mine")
    (folder / "list.json").write_text("[1]")
    (folder / "deep.json").write_text("[" * 100_000)
    (folder / "taken").mkdir()
    (folder / "taken" / "result").write_text("mine")
    more = [word for word in NETWORKS if words[0] == "mnist"]
    assert message in refused(capsys, [words[0], *more, *words[1:]], main, folder=folder)


def test_ctrl_c_ends_with_130_and_the_same_command_resumes(folder, capsys, monkeypatch):
    real, steps = loop.train_step, []

    def stopped_in_the_third(*arguments):
        steps.append(1)
        if len(steps) == 3:
            signal.raise_signal(signal.SIGINT)
        return real(*arguments)

    monkeypatch.setattr(loop, "train_step", stopped_in_the_third)
    assert ended(["mnist", *NETWORKS, "--seeds", "2"], main) == 130
    assert "Traceback" not in capsys.readouterr().err
    main(["mnist", *NETWORKS, "--seeds", "2"])
    assert len(steps) == 4 * 4  # four networks of four steps, none of them twice


def test_markup_in_a_path_is_printed_as_it_is(folder, capsys):
    main(["learn-action", "--transform", "moves:negative", *ACTION, "--out", "o[test][/x]"])
    assert "o[test][/x]" in capsys.readouterr().out


def test_without_words_all_studies_are_listed_and_every_name_leads_somewhere(capsys):
    assert ended([], main) == 0
    listed = capsys.readouterr().out
    for name, (place, _) in STUDIES.items():
        assert f"  {name} " in listed
        assert isinstance(_load(place), type)
    assert all(callable(_load(place)) for places in WORK.values() for place in places)


def test_every_study_has_a_smallest_command_of_words_that_it_knows(tmp_path):
    python, script = tmp_path / "python", Path(__file__).parents[2] / "scripts" / "smallest_studies.sh"
    python.write_text('#!/bin/sh\nfor word; do echo "$word"; done\n')
    python.chmod(0o755)
    environment = os.environ | {"PYTHON": str(python), "OUT": str(tmp_path), "ORBITCONV_DATA": str(tmp_path)}
    subprocess.run(["sh", script], env=environment, check=True, capture_output=True)
    for name in STUDIES:
        given = (tmp_path / f"{name}.log").read_text().splitlines()
        assert given[:2] == ["-m", "studies"]
        parse(given[2:])


@pytest.mark.parametrize("missing", ["tyro", "lightning_fabric"])
def test_a_library_that_is_missing_is_one_line(folder, missing):
    code = (
        f"import sys, importlib.util as u; real = u.find_spec; sys.modules[{missing!r}] = None\n"
        f"u.find_spec = lambda name, *a: None if name == {missing!r} else real(name, *a)\n"
        "from studies.__main__ import main; main()"
    )
    words = [sys.executable, "-c", code, "bases-trained", "--data-dir", "nowhere"]
    if missing == "lightning_fabric":
        words = [sys.executable, "-c", code.replace("main()", "main()"), "separable", "--rounds", "1"]
    path = ":".join(sys.path)
    done = subprocess.run(
        words, capture_output=True, text=True, check=False, env={"PYTHONPATH": path, "ORBITCONV_DATA": "/nowhere"}
    )
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
