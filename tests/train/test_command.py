"""`orbitconv train`: bad input ends with one clear message, exit code 2, and nothing lost."""

import errno
import fcntl
import os
import signal

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

import refusals
import tiny_training as tiny
from orbitconv.cli.main import main
from orbitconv.records.checkpoint import read_checkpoint
from orbitconv.records.lines import checked_line, parse_line
from orbitconv.train import load_trained, read_config, run
from orbitconv.train.engine import loop

pytestmark = pytest.mark.usefixtures("tiny_by_name")

WORDS = ["--data", "tiny", "--network.model", "tiny", "--network.basis", "none", "--training.epochs", "2",
         "--training.batch-size", "16", "--hardware.device", "cpu"]  # fmt: skip


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def train(*words):
    main(["train", *WORDS, "--out", "run", *words])


def refused(capsys, *words, whole=WORDS, folder=None):
    return refusals.refused(capsys, ["train", *whole, "--out", "run", *words], folder=folder)


@pytest.mark.parametrize(("words", "message"), [
    (["--data", "minst"], "no folder or data set 'minst'. Did you mean 'mnist'?"),
    (["--data", "mnist", "--data-dir", "missing"], "missing"),
    (["--network.model", "tny"], "no network named 'tny'"),
    (["--network.model", "unet"], "another network than unet, which labels pixels"),
    (["--network.model", "small", "--network.basis", "spectral-c8-k55"], "No spectral basis of C8 with 55x55"),
    (["--network.options", "withd", "3"], "has no option withd"),
    (["--network.options", "in_channels", "3"], "in_channels come from the data set"),
    (["--network.model", "resnet", "--network.options", "depth", "abc"], "ResNet expects depth 18, 34, or 6n + 2"),
    (["--network.model", "p4cnn", "--network.options", "dropout", "high"], "P4CNN expects dropout to be a number"),
    (["--network.model", "small", "--network.options", "width", "inf"], "SmallCNN expects a finite width > 0"),
    (["--training.epochs", "0"], "epochs >= 1"),
    (["--training.epochs", "many"], "many"),
    (["--training.warmup", "1"], "warmup between 0 and 1, got 1.0"),
    (["--training.learning-rate", "nan"], "learning_rate > 0, got nan"),
    (["--training.batch-size", "65"], "at least one batch of 65 images, got 64"),
    (["--training.optimizer", "lion"], "lion"),
    (["--augmentation.crop", "-1"], "crop as a number of pixels"),
    (["--checkpoint-every", "0"], "checkpoint_every >= 1"),
    (["--hardware.precision", "16"], "expects a GPU for precision 16"),
    (["--train-images", "1000"], "n <= 64"),
    (["--config", "missing.json"], "missing.json"),
    (["--out", "file"], "file is a file"),
    (["--out", "taken"], "--resume"),
])  # fmt: skip
def test_bad_words_are_refused_and_nothing_is_written(folder, capsys, words, message):
    (folder / "file").write_text("mine")
    (folder / "taken").mkdir()
    (folder / "taken" / "result").write_text("mine")
    assert message in refused(capsys, *words, folder=folder)


@pytest.mark.parametrize(("text", "message"), [
    ('{"training": {"lr": 1}}', "training.lr is unknown; known beside it are epochs, batch_size"),
    ('{"training": {"epochs": "3"}}', "training.epochs: should be a valid integer, got '3'"),
    ('{"seed": -1}', "seed >= 0 and below 2^63, got -1"),
    ("{", "Invalid JSON"),
])  # fmt: skip
def test_a_damaged_file_of_settings_is_refused(folder, capsys, text, message):
    (folder / "mine.json").write_text(text)
    assert message in refused(capsys, "--config", "mine.json")
    assert not (folder / "run").exists()


def test_settings_come_from_a_file_and_options_go_before_it(folder):
    (folder / "mine.json").write_text('{"training": {"epochs": 1, "momentum": 0.5}, "seed": 3}')
    train("--config", "mine.json", "--training.clip", "2")
    config = read_config(folder / "run" / "config.json")
    assert (config.training.momentum, config.seed, config.training.clip) == (0.5, 3, 2)
    assert (config.training.epochs, config.training.batch_size) == (2, 16)


def test_going_on_needs_no_settings_and_refuses_others(folder, capsys):
    train()
    lines = (folder / "run" / "metrics.jsonl").read_text()
    main(["train", "--out", "run", "--resume"])
    assert (folder / "run" / "metrics.jsonl").read_text() == lines
    said = refused(capsys, "--resume", "--training.epochs", "3")
    assert "training.epochs differ (training.epochs: 2 there, 3 here)" in said
    assert "network.options.dropout" in refused(capsys, "--resume", "--network.options", "dropout", "0.5")
    usual = refused(capsys, "--resume", "--training.epochs", "5")  # the default: typed all the same
    assert "training.epochs: 2 there, 5 here" in usual


def test_in_a_new_folder_the_file_of_settings_counts_with_resume_too(folder, capsys):
    (folder / "mine.json").write_text('{"training": {"momentum": 0.5}, "seed": 3}')
    assert "missing.json" in refused(capsys, "--resume", "--config", "missing.json")
    assert not (folder / "run").exists()
    train("--resume", "--config", "mine.json")
    lines = (folder / "run" / "metrics.jsonl").read_text()
    assert read_config(folder / "run" / "config.json").training.momentum == 0.5
    assert read_config(folder / "run" / "config.json").seed == 3
    train("--resume", "--config", "mine.json")  # the same words once more, as in the script of a job
    assert (folder / "run" / "metrics.jsonl").read_text() == lines


def test_going_on_refuses_a_file_of_other_settings_and_takes_what_it_leaves_out_from_the_folder(folder, capsys):
    train("--training.clip", "2")
    settings = (folder / "run" / "config.json").read_text()
    (folder / "mine.json").write_text('{"seed": 0}')
    main(["train", "--out", "run", "--resume", "--config", "mine.json"])
    assert (folder / "run" / "config.json").read_text() == settings
    (folder / "mine.json").write_text('{"training": {"epochs": 3}}')
    train("--resume", "--config", "mine.json")  # 2 epochs are typed, and go before the file
    bare = ["--resume", "--config", "mine.json"]
    assert "training.epochs differ (training.epochs: 2 there, 3 here)" in refused(capsys, *bare, whole=[])
    (folder / "mine.json").write_text('{"training": {"clip": null}}')
    assert "training.clip: 2.0 there, None here" in refused(capsys, *bare)
    (folder / "mine.json").write_text("{")
    assert "Invalid JSON" in refused(capsys, *bare)
    assert "missing.json" in refused(capsys, "--resume", "--config", "missing.json")
    assert (folder / "run" / "config.json").read_text() == settings


def test_a_checkpoint_of_another_network_is_refused(folder, capsys, monkeypatch):
    train()

    def linear(basis, *, in_channels, num_classes):
        return nn.Sequential(nn.Flatten(), nn.Linear(in_channels * 64, num_classes))

    monkeypatch.setitem(tiny.MODELS, "tiny", linear)
    assert "The checkpoint is of another network or optimizer" in refused(capsys, "--resume")


def test_a_damaged_checkpoint_and_one_of_another_version_are_refused(folder, capsys):
    train()
    (checkpoint,) = (folder / "run" / "checkpoints").iterdir()
    listed = (checkpoint / "checkpoint.json").read_text()
    (checkpoint / "checkpoint.json").write_text(checked_line({**parse_line(listed, "the list"), "format": 7}))
    assert "has format 7, this version of orbitconv reads format 1" in refused(capsys, "--resume")
    (checkpoint / "checkpoint.json").write_text(listed)
    content = bytearray((checkpoint / "state.pt").read_bytes())
    content[-200] ^= 1
    (checkpoint / "state.pt").write_bytes(content)
    assert "state.pt is damaged" in refused(capsys, "--resume")
    (checkpoint / "state.pt").unlink()
    assert "cannot be read as a checkpoint" in refused(capsys, "--resume")


def test_a_folder_in_use_is_refused(folder, capsys):
    train()
    with (folder / "run" / ".lock").open("w") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        assert "run is in use by another process" in refused(capsys, "--resume")
        assert "run is in use by another process" in refused(capsys)


@pytest.mark.parametrize("moment", ["last step", "last test", "writing"])
def test_a_request_to_stop_when_nearly_all_is_done_ends_with_130_and_keeps_the_network(
    folder, capsys, monkeypatch, moment
):
    options = ["--validation-images", "16", "--training.average", "0.8"]
    train(*options, "--out", "whole")
    name, at = {"last step": ("train_step", 6), "last test": ("measure", 4), "writing": ("write_trained", 1)}[moment]
    module = run if moment == "writing" else loop
    real, calls = getattr(module, name), []

    def stopped_meanwhile(*arguments, **named):
        calls.append(1)
        if len(calls) == at:
            signal.raise_signal(signal.SIGINT)
        return real(*arguments, **named)

    monkeypatch.setattr(module, name, stopped_meanwhile)
    assert refusals.ended(options, lambda words: train(*words)) == 130
    assert "run keeps the training, which is done" in capsys.readouterr().out
    for file in ("model.safetensors", "best.safetensors"):
        kept, expected = (load_file(folder / out / file) for out in ("run", "whole"))
        assert all(torch.equal(kept[tensor], expected[tensor]) for tensor in expected)
    assert len((folder / "run" / "metrics.jsonl").read_text().splitlines()) == 2
    train(*options, "--resume")
    assert "Network: run/model.safetensors" in capsys.readouterr().out


@pytest.fixture
def nan_at_seven(monkeypatch):
    """The loss of the seventh step is no number."""
    real, calls = nn.functional.cross_entropy, []

    def fail_at_seven(*arguments, **options):
        calls.append(1)
        return real(*arguments, **options) * (torch.nan if len(calls) == 7 else 1)

    monkeypatch.setattr(nn.functional, "cross_entropy", fail_at_seven)


@pytest.mark.usefixtures("nan_at_seven")
def test_a_loss_that_is_no_number_stops_and_keeps_the_last_good_checkpoint(folder, capsys):
    said = refused(capsys, "--checkpoint-every", "2")
    assert "The loss became nan at step 7. Lower the learning rate (0.005)." in said
    checkpoint = read_checkpoint(folder / "run" / "checkpoints")
    assert checkpoint.step == 6
    assert all(tensor.isfinite().all() for tensor in checkpoint.weights.values())
    assert "last.safetensors; for other settings, train in another folder" in said
    network, _ = load_trained(folder / "run" / "last.safetensors")
    for name, tensor in network.state_dict().items():
        assert torch.equal(tensor, checkpoint.weights[f"network.{name}"])


def test_a_loss_that_is_no_number_before_any_checkpoint_promises_none(folder, capsys, monkeypatch):
    monkeypatch.setattr(nn.functional, "cross_entropy", lambda scores, *_, **__: scores.sum() * torch.nan)
    said = refused(capsys, "--training.average", "0.9")
    assert "The loss became nan at step 1" in said
    assert "checkpoint" not in said
    assert not list((folder / "run").glob("*.safetensors"))


@pytest.mark.usefixtures("nan_at_seven")
def test_what_is_kept_of_averaged_weights_is_their_average(folder, capsys):
    refused(capsys, "--training.average", "0.9")
    checkpoint = read_checkpoint(folder / "run" / "checkpoints")
    network, _ = load_trained(folder / "run" / "last.safetensors")
    for name, tensor in network.state_dict().items():
        assert torch.equal(tensor, checkpoint.weights[f"averaged.module.{name}"])


def test_a_full_disk_keeps_the_checkpoint_before(folder, capsys, monkeypatch):
    real, calls = os.fsync, []

    def full(handle):
        calls.append(1)
        if len(calls) > 7:  # settings, lines, and four for the first checkpoint went well
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        real(handle)

    monkeypatch.setattr(os, "fsync", full)
    said = refused(capsys)
    assert "The checkpoint of step 8 could not be written" in said
    assert "No space left on device" in said
    monkeypatch.undo()
    os.chdir(folder)
    assert [path.name for path in (folder / "run" / "checkpoints").iterdir()] == ["step-000000004"]
    train("--resume")
    assert len((folder / "run" / "metrics.jsonl").read_text().splitlines()) == 2


@pytest.mark.parametrize(
    "error", [torch.OutOfMemoryError("CUDA out of memory."), RuntimeError("DefaultCPUAllocator: can't allocate memory")]
)
def test_too_little_memory_says_what_to_lower(folder, capsys, monkeypatch, error):
    def fail(*_, **__):
        raise error

    monkeypatch.setattr(tiny.TinyCNN, "forward", fail)
    assert "does not suffice for batches of 16 images" in refused(capsys)


def test_tensorboard_files_hold_every_epoch_once(folder):
    event_accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    train("--tensorboard")
    read = event_accumulator.EventAccumulator(str(folder / "run")).Reload()
    assert [event.step for event in read.Scalars("loss")] == [4, 8]
