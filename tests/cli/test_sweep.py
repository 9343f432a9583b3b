"""`orbitconv sweep` as people call it, some of them at once."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import tiny_training as tiny
from orbitconv.cli import main
from orbitconv.train import read_config
from refusals import refused

pytestmark = pytest.mark.usefixtures("tiny_by_name")

pytest.importorskip("optuna")

WORDS = ["sweep", "--data", "tiny", "--network.model", "tiny", "--network.basis", "none", "--training.epochs", "2",
         "--training.batch-size", "16", "--hardware.device", "cpu", "--validation-images", "16", "--out", "here",
         "--search", "training.learning_rate=log:1e-3:1e-1", "training.batch_size=choice:8,16"]  # fmt: skip


def start(folder, *words):
    path = os.pathsep.join([str(Path(__file__).parents[1]), *sys.path])
    return subprocess.Popen(
        [sys.executable, tiny.__file__, *WORDS, *words], cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        text=True, env=os.environ | {"PYTHONPATH": path, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip


def journal(folder):
    path = folder / "here" / "trials.jsonl"
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True) if path.exists() else []
    return [json.loads(line) for line in lines if line.endswith("\n")]


def wait_for(folder, count, operation):
    until = time.monotonic() + 300
    while sum(line["op_code"] == operation for line in journal(folder)) < count and time.monotonic() < until:
        time.sleep(0.05)


CREATED, REPORTED = 4, 7


def test_processes_share_one_sweep_whatever_happens_to_one_of_them(tmp_path, capsys, monkeypatch):
    endless = start(tmp_path, "--trials", "4", "--training.epochs", "100000", "--prune-after", "100000")
    try:
        wait_for(tmp_path, 1, REPORTED)
        endless.send_signal(signal.SIGINT)
        said, complained = endless.communicate(timeout=300)
    finally:
        endless.kill()
    assert endless.returncode == 130, complained
    assert "keeps all trials that ended; the same command resumes it" in " ".join(said.split())
    assert "Traceback" not in said + complained
    (tmp_path / "here").rename(tmp_path / "stopped")

    workers = [start(tmp_path, "--trials", "6") for _ in range(2)]
    try:
        said = [worker.communicate(timeout=300) for worker in workers]
    finally:
        for worker in workers:
            worker.kill()
    assert [worker.returncode for worker in workers] == [0, 0], said
    assert [complaint for _, complaint in said] == ["", ""]
    record = json.loads((tmp_path / "here" / "sweep.json").read_text())
    assert sorted(row["trial"] for row in record["rows"]) == list(range(6))
    best = record["rows"][0]
    config = read_config(tmp_path / "here" / "best.json")
    assert config.training.learning_rate == best["training.learning_rate"]
    for table, _ in said:
        assert "Best of 6 trials" in table
        assert f"│ {best['trial']} │ {best['test_error_percent']:.2f} │" in " ".join(table.split())
    monkeypatch.chdir(tmp_path)
    main([*WORDS, "--trials", "6", "--results", "record.json"])  # nothing is left to do
    assert "orbitconv train --config here/best.json" in capsys.readouterr().out
    assert json.loads((tmp_path / "record.json").read_text())["rows"] == record["rows"]


@pytest.mark.parametrize(("words", "message"), [
    (["--search"], "one --search or more"),
    (["--search", "training.lr=log:1e-3:1"], "training.lr is unknown; known beside it are epochs"),
    (["--search", "network.options.depth=int:1:2"], "has no option depth"),
    (["--search", "network.model=choice:tiny,tny"], "no network named 'tny'"),
    (["--search", "training.batch_size=choice:8,49"], "batches of 49 images, and there are 48 to train on"),
    (["--validation-images", "0"], "Give --validation-images, such as 5000"),
    (["--validation-images", "64"], "validation < 64"),
    (["--trials", "0"], "trials >= 1"),
    (["--data", "tinny"], "Did you mean 'tiny'?"),
    (["--config", "missing.json"], "missing.json"),
    (["--out", "file"], "file is a file"),
    (["--results", "file/record.json"], "file cannot be written"),
    (["--out", "taken"], "taken holds something else already"),
])  # fmt: skip
def test_bad_words_end_with_2_one_message_and_nothing_written(tmp_path, monkeypatch, capsys, words, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("mine")
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "result").write_text("mine")
    assert message in refused(capsys, [*WORDS, *words], folder=tmp_path)


def test_without_optuna_the_extra_is_named(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, "optuna.distributions", None)
    assert "pip install -e '.[sweep]' in a checkout" in refused(capsys, WORDS)
    assert not list(tmp_path.iterdir())
