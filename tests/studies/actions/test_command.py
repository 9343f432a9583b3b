"""`python -m studies learn-action` as a person calls it."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest

from studies.__main__ import main

pytest.importorskip("matplotlib")
IMAGE = pytest.importorskip("PIL.Image")
PROGRAM = [sys.executable, "-c", "from studies.__main__ import main; main()", "learn-action"]


def learn_action(*arguments, cwd):
    environment = {**os.environ, "ORBITCONV_CACHE": str(cwd / "cache")}
    return subprocess.run(
        [*PROGRAM, *map(str, arguments)],
        cwd=cwd, capture_output=True, text=True, timeout=300, check=False, env=environment,
    )  # fmt: skip


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "pictures").mkdir()
    noise = np.random.default_rng(0).integers(0, 256, size=(700, 700, 3), dtype=np.uint8)
    IMAGE.fromarray(noise).save(tmp_path / "pictures" / "noise.png")
    (tmp_path / "moves.py").write_text(
        "def negative(x):\n    return -x\n\ndef crop(x):\n    return x[..., 1:]\n\nnumber = 3\n"
    )
    return tmp_path


SMALL = ("--data", "pictures", "--pairs", 60, "--held-out", 10, "--patch", 5)


def test_a_function_of_the_user_is_learned_drawn_and_recorded(folder):
    done = learn_action("--transform", "moves:negative", *SMALL, "--order", 2, cwd=folder)
    assert done.returncode == 0, done.stderr
    words = " ".join(done.stdout.split())
    for expected in ("moves:negative", "closure, order 2", "held out", "runs/learn-action/action.png"):
        assert expected in words
    out = folder / "runs" / "learn-action"
    names = {"action.json", "action.png", "action.safetensors", "action.svg"}
    assert {path.name for path in out.iterdir()} == names
    (row,) = json.loads((out / "action.json").read_text())["rows"]
    assert row["error"] < 1e-12
    again = learn_action("--transform", "moves:negative", *SMALL, cwd=folder)
    assert (again.returncode, "--overwrite" in again.stderr) == (2, True)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--transform", "quater-turn"], "Did you mean 'quarter-turn'?"),
        (["--transform", "mover:negative"], "There is no module mover"),
        (["--transform", "moves:positive"], "no function positive"),
        (["--transform", "moves:number"], "of type int"),
        (["--transform", "moves:crop"], "must return the shape that it gets"),
        (["--transform", "mirror", "--data", "nowhere"], "got 'nowhere', neither"),
        (["--transform", "mirror", "--pairs", 5], "Draw 20 more"),
        ([], "--transform"),
    ],
)
def test_bad_words_end_with_2_one_message_and_nothing_written(folder, monkeypatch, capsys, arguments, words):
    monkeypatch.chdir(folder)
    with pytest.raises(SystemExit) as ended:
        main(["learn-action", *map(str, (*SMALL, *arguments))])
    assert ended.value.code == 2
    told = capsys.readouterr()
    assert words in " ".join(told.err.split())
    assert "Traceback" not in told.err + told.out
    assert not (folder / "runs").exists()
