"""The command line: exit codes, one message, nothing left behind."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest

SMALL = ["--train-images", "64", "--fit-images", "50", "--test-images", "20", "--curve-images", "10", "--parameters",
         "2000", "--training.epochs", "1", "--training.batch-size", "32"]  # fmt: skip


def orbitconv(*arguments, cwd, **environment):
    return subprocess.run(
        [sys.executable, "-c", "from orbitconv.cli import main; main()", *map(str, arguments)],
        cwd=cwd, capture_output=True, text=True, timeout=300, check=False,
        env={**os.environ, "ORBITCONV_CACHE": str(cwd / "cache"), **environment},
    )  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nonsense"], "nonsense"),
        (["demo", "--seeds", "0"], "seeds >= 1"),
        (["demo", "--seeds", "many"], "many"),
        (["demo", "--no-such-option"], "no-such-option"),
        (["demo", "--data-dir", "missing"], "missing"),
        (["demo", "--out", "taken"], "--overwrite"),
        (["demo", "--out", "taken/file/run"], "cannot be written"),
    ],
)
def test_bad_words_end_with_2_one_message_and_no_traceback(tmp_path, arguments, words):
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "file").write_text("a result")
    done = orbitconv(*arguments, cwd=tmp_path)
    assert done.returncode == 2
    assert words in done.stderr.replace("\n", " ")
    assert "Traceback" not in done.stderr + done.stdout
    assert sorted(p.name for p in tmp_path.iterdir()) == ["taken"]


def test_a_damaged_data_file_ends_with_2_and_names_it(tmp_path):
    (tmp_path / "mnist").mkdir()
    for name in ("train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1"):
        (tmp_path / "mnist" / f"{name}-ubyte.gz").write_bytes(b"\x1f\x8b damaged")
    done = orbitconv("demo", "--data-dir", tmp_path, cwd=tmp_path)
    assert (done.returncode, "train-images-idx3-ubyte.gz" in done.stderr.replace("\n", "")) == (2, True)
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "runs" / "demo").exists()


def test_help_ends_with_0(tmp_path):
    done = orbitconv("--help", cwd=tmp_path)
    assert (done.returncode, "demo" in done.stdout) == (0, True)


def test_the_demo_writes_its_report_its_record_and_a_table(tmp_path, data_dir):
    done = orbitconv("demo", *SMALL, "--data-dir", data_dir, "--results", "here/demo.json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "learned C8" in done.stdout
    folder = tmp_path / "runs" / "demo"
    assert (folder / "report.html").stat().st_size > 10_000
    assert json.loads((folder / "demo.json").read_text()) == json.loads((tmp_path / "here" / "demo.json").read_text())
    assert [p.name for p in (tmp_path / "runs").iterdir()] == ["demo"]


def test_more_digits_than_there_are_end_with_2(tmp_path, data_dir):
    done = orbitconv("demo", "--train-images", "70000", "--data-dir", data_dir, cwd=tmp_path)
    assert (done.returncode, "60000" in done.stderr) == (2, True)
    assert not (tmp_path / "runs" / "demo").exists()


def test_ctrl_c_ends_with_130_and_leaves_nothing(tmp_path, data_dir):
    process = subprocess.Popen(
        [sys.executable, "-c", "from orbitconv.cli import main; main()", "demo", "--data-dir", str(data_dir)],
        cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    for line in process.stdout:  # wait until it trains
        if line.startswith("train"):
            break
    time.sleep(0.5)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "stopped" in errors
    assert "Traceback" not in errors
    assert [p.name for p in tmp_path.iterdir()] == []
