"""`orbitconv show-basis` as a person calls it."""

import os
import signal
import subprocess
import sys

import pytest

pytest.importorskip("matplotlib")
PROGRAM = [sys.executable, "-c", "from orbitconv.cli import main; main()", "show-basis"]


def show_basis(*arguments, cwd):
    environment = {**os.environ, "ORBITCONV_CACHE": str(cwd / "cache")}
    return subprocess.run(
        [*PROGRAM, *map(str, arguments)],
        cwd=cwd, capture_output=True, text=True, timeout=300, check=False, env=environment,
    )  # fmt: skip


def test_it_writes_pictures_and_prints_a_table(tmp_path):
    done = show_basis("--bases", "exact", "spectral-c8-k5-d17", "--max-atoms", "2", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "17" in done.stdout
    assert "runs/show-basis/turning.webp" in done.stdout
    folder = tmp_path / "runs" / "show-basis"
    assert {"orbits-exact.png", "orbits-spectral-c8-k5-d17.svg", "turning.webp"} <= {p.name for p in folder.iterdir()}
    again = show_basis("--bases", "exact", cwd=tmp_path)
    assert (again.returncode, "--overwrite" in again.stderr) == (2, True)
    assert [p.name for p in (tmp_path / "runs").iterdir()] == ["show-basis"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--bases", "bilinar"], "Did you mean 'bilinear'?"),
        (["--bases", "spektral-c8-k5"], "spectral-c8-k5"),
        (["--bases", "mine.safetensors"], "no file mine.safetensors"),
        (["--bases", "spectral-c8-k5", "unitary-c8-k3"], "one group and kernel size"),
        (["--kernel-size", "0"], "kernel_size >= 1"),
        (["--group", "x8"], "C8 or D4"),
        (["--animation", "mp4"], "mp4"),
    ],
)
def test_bad_words_end_with_2_one_message_and_nothing_written(tmp_path, arguments, words):
    done = show_basis(*arguments, cwd=tmp_path)
    assert done.returncode == 2
    assert words in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr + done.stdout
    assert list(tmp_path.iterdir()) == []


def test_ctrl_c_ends_with_130_and_leaves_nothing(tmp_path):
    process = subprocess.Popen(
        [*PROGRAM, "--bases", "unitary-c16-k7", "spectral-c16-k7"],
        cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    for line in process.stdout:  # wait until it draws
        if line.startswith("draw"):
            break
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "stopped" in errors
    assert list(tmp_path.iterdir()) == []
