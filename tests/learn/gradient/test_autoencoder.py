import json
from dataclasses import replace

import pytest
import torch

from orbitconv.bases import GaussianBasis, LearnedBasis
from orbitconv.groups import Cyclic, Dihedral
from orbitconv.learn import BasisTraining, train_basis
from orbitconv.metrics import basis_equivariance_error
from orbitconv.records.checkpoint import read_checkpoint
from orbitconv.records.metric_lines import read_metrics
from raising import refuses
from references import smooth_images, smooth_moments

GROUP = Cyclic(8)
SHORT = BasisTraining(steps=12, batch_size=6, check_every=4, start="random")


def train(images=None, config=SHORT, **options):
    return train_basis(smooth_images() if images is None else images, GROUP, 3, config, **options)


def stop_at(step):
    def progress(what, done, total):
        if done == step:
            raise KeyboardInterrupt

    return progress


@pytest.mark.parametrize("norm", ["l1", "l2"])
def test_learns_to_turn_better_than_gaussian_interpolation(norm):
    trained = train_basis(
        smooth_images(count=80), GROUP, 3, BasisTraining(norm=norm, start="turned", steps=250, batch_size=12)
    )
    moments = smooth_moments(GROUP, 3, seed=1)
    learned, interpolated = (
        basis_equivariance_error(basis, moments)[1] for basis in (trained.basis, GaussianBasis(GROUP, 3))
    )
    assert learned < interpolated
    assert basis_equivariance_error(trained.basis.average(), moments)[2] < 1e-6


@pytest.mark.parametrize("orthogonal", [False, True])
@pytest.mark.parametrize("stopped_at", [3, 8, 11])
def test_resumed_run_ends_at_the_same_bits(stopped_at, orthogonal, tmp_path):
    config = replace(SHORT, orthogonal=orthogonal, num_atoms=5, decay=stopped_at > 3)
    images = smooth_images()
    whole = train(images, config, out=tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        train(images, config, out=tmp_path / "cut", progress=stop_at(stopped_at))
    torch.randn(5)  # nothing depends on the global generator
    resumed = train(images, config, out=tmp_path / "cut", resume=True)
    assert torch.equal(resumed.basis(), whole.basis())
    assert resumed.metrics == whole.metrics
    assert (resumed.steps, resumed.held_out_error) == (12, whole.held_out_error)
    for file in ("metrics.jsonl", "config.json"):
        assert (tmp_path / "cut" / file).read_bytes() == (tmp_path / "whole" / file).read_bytes()
    again = train(images, config, out=tmp_path / "cut", resume=True)  # nothing left to do
    assert torch.equal(again.basis(), whole.basis())


def test_record_holds_settings_and_one_line_a_step(tmp_path):
    train_basis(smooth_images(), Dihedral(3), 2, SHORT, out=tmp_path)
    settings = json.loads((tmp_path / "config.json").read_text())
    assert (settings["group"], settings["kernel_size"], settings["config"]["steps"]) == ("D3", 2, 12)
    rows = read_metrics(tmp_path)
    assert [row["step"] for row in rows] == list(range(1, 13))
    assert [row["step"] for row in rows if "held_out_error" in row] == [4, 8, 12]
    for row in rows:
        total = 30 * row["equivariance"] + row["reconstruction"] + row["orthogonality"]
        assert row["loss"] == pytest.approx(total, rel=1e-12)


def test_checkpoint_holds_no_pickled_code(tmp_path):
    train(out=tmp_path)
    assert read_checkpoint(tmp_path / "checkpoints").step == 12  # loads weights only
    assert sorted(p.name for p in tmp_path.iterdir()) == [".lock", "checkpoints", "config.json", "metrics.jsonl"]


@pytest.mark.parametrize("part", ["weights.safetensors", "state.pt", "checkpoint.json"])
def test_a_single_changed_bit_of_a_checkpoint_is_refused(tmp_path, part):
    train(out=tmp_path)
    path = next(tmp_path.glob(f"checkpoints/*/{part}"))
    content = path.read_bytes()
    for place in range(0, 8 * len(content), 8 * len(content) // 20 + 1):
        flipped = bytearray(content)
        flipped[place // 8] ^= 1 << place % 8
        path.write_bytes(flipped)
        refuses(ValueError, r"damaged|cannot be read|has format", train, out=tmp_path, resume=True)


def test_two_runs_cannot_work_in_one_folder(tmp_path):
    def second(what, done, total):
        refuses(BlockingIOError, "is in use by another process", train, out=tmp_path, resume=True)

    train(config=replace(SHORT, steps=2), out=tmp_path, progress=second)


def test_gives_the_best_basis_met():
    # A learning rate this high only does harm, so the start stays the best.
    start = LearnedBasis(GROUP, 3, start="interpolated").double()
    trained = train(config=replace(SHORT, learning_rate=3.0), start=start)
    assert torch.equal(trained.basis(), start())
    assert all(row["held_out_error"] > trained.held_out_error for row in trained.metrics if "held_out_error" in row)


def test_stops_early_when_patience_ends():
    start = LearnedBasis(GROUP, 3, start="interpolated").double()
    config = replace(SHORT, learning_rate=3.0, steps=40, patience=2)
    assert train(smooth_images(), config, start=start).steps == 8


def test_orthogonal_training_stays_unitary():
    atoms = train_basis(smooth_images().float(), GROUP, 3, replace(SHORT, orthogonal=True)).basis().double().flatten(2)
    torch.testing.assert_close(atoms @ atoms.mT, torch.eye(9).double().expand(8, 9, 9), rtol=0, atol=2e-6)


def test_bytes_and_sets_of_images_are_taken_as_grey_floats():
    pixels = (smooth_images() * 100 + 128).clamp(0, 255).to(torch.uint8)

    class Pictures:
        def grey(self):
            return pixels.float() / 255

    first, second = (train(images).basis() for images in (pixels, Pictures()))
    assert torch.equal(first, second)


def test_loss_that_is_no_number_names_the_step():
    with pytest.raises(FloatingPointError, match=r"became (inf|nan) at step [2-9] of 12\. Lower the learning rate"):
        train(config=replace(SHORT, learning_rate=1e200, norm="l2", decay=False))


@pytest.mark.parametrize("tensorboard", [False, True])
def test_refuses_to_write_over_a_record_or_to_go_on_with_another_and_writes_nothing(tmp_path, tensorboard):
    if tensorboard:
        pytest.importorskip("tensorboard")
    options = {"out": tmp_path, "resume": True, "tensorboard": tensorboard}
    train(out=tmp_path)
    refuses(FileExistsError, "resume=True", lambda: train(out=tmp_path))
    said = r"another run: seed differ \(seed: 0 there, 7 here\)"
    refuses(ValueError, said, lambda: train(config=replace(SHORT, seed=7), **options))
    refuses(ValueError, "another run: images differ", lambda: train(smooth_images(seed=5), **options))
    next(tmp_path.glob("checkpoints/*/state.pt")).write_bytes(b"no checkpoint")
    refuses(ValueError, r"state\.pt is damaged", lambda: train(**options))
    assert sorted(p.name for p in tmp_path.iterdir()) == [".lock", "checkpoints", "config.json", "metrics.jsonl"]


def test_tensorboard_that_is_missing_is_named_with_its_extra(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "torch.utils.tensorboard", None)
    refuses(ModuleNotFoundError, r"pip install -e .\.\[train\]", train, out=tmp_path / "run", tensorboard=True)
    assert not (tmp_path / "run").exists()


def test_tensorboard_gets_every_figure(tmp_path, monkeypatch):
    import sys
    from types import SimpleNamespace

    written = []

    class Writer:
        def __init__(self, folder):
            assert folder == str(tmp_path / "run")

        def add_scalar(self, name, value, step):
            written.append((name, value, step))

        def close(self):
            written.append("closed")

    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", SimpleNamespace(SummaryWriter=Writer))
    trained = train(out=tmp_path / "run", tensorboard=True)
    expected = [(name, value, row["step"]) for row in trained.metrics for name, value in row.items() if name != "step"]
    assert written == [*expected, "closed"]


@pytest.mark.parametrize(("changes", "message"), [
    ({"held_out": 0.0}, "held_out between 0 and 1"),
    ({"contrast": 0.0}, "contrast above zero"),
    ({"patience": -1}, "patience of zero or more"),
    ({"equivariance_weight": float("nan")}, "equivariance_weight of zero or more"),
    ({"steps": 0}, "steps >= 1"),
    ({"batch_size": 40}, "more images than one batch of 40"),
])  # fmt: skip
def test_refuses_settings_that_make_no_sense(changes, message):
    refuses(ValueError, message, lambda: train(config=replace(SHORT, **changes)))


@pytest.mark.parametrize("value", [0.0, 0.7, 200.1, 255])
def test_refuses_constant_images(value):
    constant = torch.full((40, 1, 8, 8), value, dtype=torch.uint8 if isinstance(value, int) else torch.float32)
    for config, owner in ((SHORT, "train_basis"), (replace(SHORT, contrast=None), "Moments")):
        with pytest.raises(ValueError, match=f"{owner} expects images with some contrast, got [0-9]+ constant ones"):
            train(constant, config)


def test_refuses_too_few_images_besides_constant_ones():
    constant = torch.full((40, 1, 24, 24), 0.7)
    with pytest.raises(ValueError, match="got 4, 1 of them held out, besides 40 constant ones"):
        train(torch.cat([constant, smooth_images()[:4].float()]))


def test_refuses_images_it_cannot_learn_from():
    refuses(ValueError, r"shape \(n, channels, height, width\)", lambda: train(smooth_images()[0]))
    refuses(ValueError, "finite images", lambda: train(smooth_images().clone().fill_(float("nan"))))
    with pytest.raises(ValueError, match="expects more images than one batch and the held-out ones, got none"):
        train(smooth_images()[:0])
    refuses(ValueError, "expects a folder", lambda: train(resume=True))
    refuses(ValueError, "expects a start for C8", lambda: train(start=LearnedBasis(Cyclic(4), 3)))
