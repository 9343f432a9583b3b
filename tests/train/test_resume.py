"""A training that is stopped, at whatever moment, goes on as if nothing had been."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import kornia.geometry.transform  # noqa: F401 - once, before the processes are made
import lightning_fabric  # noqa: F401
import pytest
from safetensors.torch import load_file

import tiny_training as tiny
from orbitconv.cli.main import main
from orbitconv.records.checkpoint import read_checkpoint
from orbitconv.records.metric_lines import read_metrics
from refusals import ended

pytestmark = pytest.mark.usefixtures("tiny_by_name")

WORDS = ["train", "--data", "tiny", "--network.model", "tiny", "--network.basis", "none", "--network.options",
         "dropout", "0.2", "--training.epochs", "3", "--training.batch-size", "10", "--training.average", "0.8",
         "--checkpoint-every", "3", "--validation-images", "16", "--augmentation.rotation", "circle",
         "--augmentation.crop", "1", "--hardware.device", "cpu"]  # fmt: skip
TIMES = {"seconds", "images_per_second"}


def run_forked(out, kill_at=None):
    """The command in a process of its own, which kills itself before the given access to the folder.

    Returns:
        How it ended, and how many accesses there were.
    """
    counted = out.parent / "count"
    child = os.fork()
    if not child:
        accesses = 0

        def watch(event, arguments):
            nonlocal accesses
            if event in {"open", "os.mkdir", "os.rename", "os.remove", "os.rmdir"} and str(out) in str(arguments[0]):
                accesses += 1
                if accesses == kill_at:
                    os.kill(os.getpid(), signal.SIGKILL)

        try:
            sys.addaudithook(watch)
            sys.stdout = sys.stderr = open(os.devnull, "w")  # noqa: PTH123, SIM115
            main([*WORDS, "--out", str(out), "--resume"])
            counted.write_text(str(accesses))
            os._exit(0)
        except BaseException:
            os._exit(1)
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status), int(counted.read_text()) if counted.exists() else 0


def outcome(out):
    """What a training leaves, without what depends on the clock."""
    lines = read_metrics(out)
    rows = [{name: value for name, value in line.items() if name not in TIMES} for line in lines]
    weights = [load_file(out / f"{name}.safetensors") for name in ("model", "best")]
    return rows, [{name: tensor.numpy().tobytes() for name, tensor in each.items()} for each in weights]


@pytest.fixture(scope="module")
def whole(tmp_path_factory, tiny_by_name):
    """A training that nothing stopped, and the number of its accesses to the folder."""
    out = tmp_path_factory.mktemp("whole") / "run"
    ended, accesses = run_forked(out)
    assert ended == 0
    assert accesses > 50
    return outcome(out), accesses


@pytest.mark.parametrize("round_", range(5))
def test_killed_at_any_moment_it_goes_on_bit_for_bit(whole, tmp_path, round_):
    expected, accesses = whole
    chance, out, ended, kills = random.Random(round_), tmp_path / "run", 1, 0
    while ended:
        kill_at = chance.randrange(1, accesses) if kills < 3 else None
        ended, _ = run_forked(out, kill_at)
        assert ended in {0, -signal.SIGKILL}
        kills += ended != 0
    assert kills
    assert outcome(out) == expected
    assert not [path for path in out.rglob("*") if path.name.endswith(".tmp")]


def test_the_whole_folder_holds_one_checkpoint_and_lines_for_every_epoch(whole, tmp_path):
    (rows, _), _ = whole
    assert [row["step"] for row in rows] == [4, 8, 12]
    assert {"loss", "train_error_percent", "validation_error_percent", "test_error_percent"} < rows[0].keys()


@pytest.mark.parametrize("request_", [signal.SIGINT, signal.SIGTERM], ids=["ctrl-c", "termination"])
def test_a_request_to_stop_ends_with_130_and_keeps_the_last_step_while_others_are_kept_out(tmp_path, request_):
    longer = [*WORDS, "--training.epochs", "100000", "--checkpoint-every", "100000", "--out", "run"]
    path = os.pathsep.join([str(Path(__file__).parents[1]), *sys.path])
    process = subprocess.Popen(
        [sys.executable, tiny.__file__, *longer], cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        text=True, env=os.environ | {"PYTHONPATH": path, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    try:
        lines = tmp_path / "run" / "metrics.jsonl"
        until = time.monotonic() + 120
        while not (tmp_path / "run" / "checkpoints").exists() and time.monotonic() < until:
            time.sleep(0.05)
        assert ended([*longer[:-1], str(tmp_path / "run"), "--resume"]) == 2
        process.send_signal(request_)
        said, complained = process.communicate(timeout=60)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 130, complained
    assert "resume with --resume" in said
    assert "Traceback" not in said + complained
    checkpoint = read_checkpoint(tmp_path / "run" / "checkpoints")
    assert len(lines.read_text().splitlines()) == checkpoint.step // 4
    assert checkpoint.rest["meter"]["steps"] % 4 == checkpoint.step % 4


@pytest.mark.parametrize("seed", [0, 5])
def test_the_same_seed_gives_the_same_lines_and_another_gives_others(whole, tmp_path, seed):
    main([*WORDS, "--seed", str(seed), "--out", str(tmp_path / "run")])
    assert (outcome(tmp_path / "run") == whole[0]) == (seed == 0)
