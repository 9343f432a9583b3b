"""The command line: exit codes, one message, nothing left behind."""

import json
import signal
import subprocess
import sys
from functools import partial
from importlib.metadata import version

import pytest

from orbitconv.cli import main, terminal
from refusals import ended, refused

PROGRAM = [sys.executable, "-c", "from orbitconv.cli import main; main()"]
SMALL = ["--train-images", "64", "--fit-images", "50", "--test-images", "20", "--curve-images", "10", "--parameters",
         "2000", "--training.epochs", "1", "--training.batch-size", "32"]  # fmt: skip


@pytest.mark.parametrize(("arguments", "words"), [
    (["nonsense"], "nonsense"),
    (["pedict"], "Did you mean 'predict'?"),
    (["demo", "--seeds", "0"], "seeds >= 1"),
    (["demo", "--seeds", "many"], "many"),
    (["demo", "--no-such-option"], "no-such-option"),
    (["demo", "--train-imags", "3"], "--train-images"),
    (["demo", "--data-dir", "missing"], "missing"),
    (["demo", "--data-dir", "damaged"], "train-images-idx3-ubyte.gz"),
    (["demo", "--out", "taken"], "--overwrite"),
    (["demo", "--out", "taken/file/run"], "cannot be written"),
    (["train", "--seed", str(2**64)], "below 2^63"),
    (["report", "deep"], "deep/config.json is damaged"),
    (["train", "--config", "deep/config.json"], "deep/config.json"),
])  # fmt: skip
def test_bad_words_end_with_2_one_message_and_nothing_written(tmp_path, monkeypatch, capsys, arguments, words):
    monkeypatch.chdir(tmp_path)
    for name in ("taken", "damaged/mnist", "deep"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "taken" / "file").write_text("a result")
    (tmp_path / "deep" / "config.json").write_text("[" * 100_000)
    for name in ("train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1"):
        (tmp_path / "damaged" / "mnist" / f"{name}-ubyte.gz").write_bytes(b"\x1f\x8b damaged")
    assert words in refused(capsys, arguments, folder=tmp_path).replace("- ", "-")


def test_the_demo_writes_its_report_and_record_whatever_its_folder_is_called(tmp_path, data_dir, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    main(["demo", *SMALL, "--data-dir", str(data_dir), "--results", "here/demo.json", "--out", "runs/o[/x] [red]"])
    shown = capsys.readouterr().out
    folder = tmp_path / "runs" / "o[" / "x] [red]"
    assert "learned C8" in shown
    assert "Report with pictures: runs/o[/x] [red]/report.html" in shown
    record = json.loads((folder / "demo.json").read_text())
    assert record == json.loads((tmp_path / "here" / "demo.json").read_text())
    assert "--out 'runs/o[/x] [red]'" in record["command"]
    assert "--results here/demo.json" in record["command"]
    assert "--parameters 2000" in (folder / "report.html").read_text()


def test_without_a_terminal_progress_tells_percent_and_time_left(capsys, monkeypatch):
    clock = iter(range(0, 1000, 15))
    monkeypatch.setattr(terminal.time, "monotonic", partial(next, clock))
    with terminal.Terminal().progress() as progress:
        for done in range(5):
            progress(f"work | loss {done}", done, 4)
    first, *others, last = capsys.readouterr().out.splitlines()
    assert first == "work, loss 0 ..."
    assert all(" %, " in line and line.endswith(" left") for line in others)
    assert "done in" in last


def test_version_is_printed(capsys):
    assert ended(["--version"]) == 0
    assert capsys.readouterr().out == f"orbitconv {version('orbitconv')}\n"


def test_help_ends_the_process_with_0_and_imports_neither_tyro_nor_the_engine(tmp_path):
    code = "import sys; from orbitconv.cli import main\ntry: main()\nfinally: print(*sys.modules, file=sys.stderr)"
    command = [sys.executable, "-c", code, "--help"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, "learn-basis" in done.stdout) == (0, True)
    assert not {"tyro", "rich.console", "orbitconv.train"} & set(done.stderr.split())


def test_a_wrong_word_ends_the_process_with_2(tmp_path):
    done = subprocess.run([*PROGRAM, "nonsense"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, "nonsense" in done.stderr) == (2, True)


@pytest.mark.skipif(sys.platform == "win32", reason="signals are others there")
def test_ctrl_c_ends_the_process_with_130_and_leaves_nothing(tmp_path):
    pytest.importorskip("matplotlib")
    process = subprocess.Popen(
        [*PROGRAM, "show-basis", "--bases", "unitary-c16-k7", "spectral-c16-k7"],
        cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # it is ignored below nohup
    )  # fmt: skip
    assert process.stdout is not None
    for line in process.stdout:  # wait until it draws
        if line.startswith("draw"):
            break
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "stopped" in errors
    assert "Traceback" not in errors
    assert list(tmp_path.iterdir()) == []
