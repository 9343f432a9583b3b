"""Two processes, started by torchrun for real, against one that has the whole batch."""

import os
import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
from torch import nn

import tiny_training as tiny
from orbitconv.cli.main import main
from orbitconv.nn import GroupBatchNorm2d
from orbitconv.records.checkpoint import read_checkpoint
from orbitconv.records.metric_lines import read_metrics
from orbitconv.train import Hardware, load_trained
from orbitconv.train.engine.processes import launched
from orbitconv.train.engine.sync_norm import synchronized

pytestmark = pytest.mark.usefixtures("tiny_by_name")

WORDS = ["train", "--data", "tiny", "--network.model", "tiny", "--network.basis", "none", "--training.epochs", "4",
         "--training.batch-size", "11", "--training.clip", "1", "--augmentation.rotation", "eighths",
         "--augmentation.flip", "--hardware.device", "cpu"]  # fmt: skip
GROUP_WORDS = [*WORDS, "--network.model", "small", "--network.basis", "exact-c4", "--network.options", "width", "2"]
NORMS = {
    "planar": lambda: nn.BatchNorm2d(3),
    "group": lambda: GroupBatchNorm2d(3),
    "cumulative": lambda: nn.BatchNorm2d(3, momentum=None),
    "plain": lambda: nn.BatchNorm2d(3, affine=False, track_running_stats=False),
}
SHARES = [slice(0, 3), slice(3, 8)]
EXACT = {"rtol": 0, "atol": 1e-12}


def norm_and_input(name):
    """A norm with weights of its own, a batch, and what flows back."""
    torch.manual_seed(1)
    norm = NORMS[name]().double()
    for parameter in norm.parameters():
        nn.init.normal_(parameter)
    shape = (8, 3, 4, 5, 6) if name == "group" else (8, 3, 5, 6)
    return norm, 3 + 2 * torch.randn(shape, dtype=torch.float64), torch.randn(shape, dtype=torch.float64)


def normalize(name, share):
    """Two batches in training, one in eval mode; result, gradients and running statistics."""
    norm, x, gradient = norm_and_input(name)
    x = x[share].requires_grad_()
    with synchronized(norm) if dist.is_initialized() else nullcontext():
        norm(x.detach() ** 2)
        y = norm(x)
        y.backward(gradient[share])
        quiet = norm.eval()(x)
    weights = {f"gradient of {n}": p.grad for n, p in norm.named_parameters()}
    state = {f"state {n}": b.clone() for n, b in norm.named_buffers()}
    return {"y": y.detach(), "gradient of x": x.grad, "quiet": quiet.detach()}, weights, state


def large_features():
    """Channels last, single precision, so many that adding them up one by one shows."""
    torch.manual_seed(2)
    planes = 3 + torch.randn(64, 16, 28, 28)
    return planes.contiguous(memory_format=torch.channels_last).unflatten(1, (4, 4))


def work(folder):
    """What each process does."""
    with launched(Hardware(device="cpu")):
        got = {name: normalize(name, SHARES[dist.get_rank()]) for name in NORMS}
        torch.save(got, folder / f"{dist.get_rank()}.pt")
        with synchronized(norm := GroupBatchNorm2d(4, eps=0)):
            torch.save(norm(large_features()).detach(), folder / f"large-{dist.get_rank()}.pt")
    main([*WORDS, "--out", str(folder / "two")])
    main([*GROUP_WORDS, "--out", str(folder / "two-on-a-group")])


def work_until_nan(folder):
    """What each process does: the loss of one of the two is no number in the seventh step."""
    real, calls = nn.functional.cross_entropy, []

    def fail_at_seven(*arguments, **options):
        calls.append(1)
        bad = len(calls) == 7 and dist.get_rank() == 1
        return real(*arguments, **options) * (torch.nan if bad else 1)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(nn.functional, "cross_entropy", fail_at_seven)
        main([*WORDS, "--checkpoint-every", "2", "--out", str(folder / "nan")])


def start(folder, what):
    """Two processes that work together, to their end."""
    path = os.pathsep.join([str(Path(__file__).parents[1]), *sys.path])
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", __file__]
    return subprocess.run(
        [*command, str(folder), what], env=os.environ | {"PYTHONPATH": path, "OMP_NUM_THREADS": "1"},
        capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory, tiny_by_name):
    """What two processes left, and the training of one; one start for all tests."""
    folder = tmp_path_factory.mktemp("processes")
    done = start(folder, "work")
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("model.safetensors") == 2, "one process speaks, once for each training"
    main([*WORDS, "--out", str(folder / "one")])
    main([*GROUP_WORDS, "--out", str(folder / "one-on-a-group")])
    return folder


@pytest.mark.parametrize("network", ["", "-on-a-group"])
def test_the_loss_curve_is_that_of_one_process_with_the_same_batch(folder, network):
    one, two = (read_metrics(folder / f"{name}{network}") for name in ("one", "two"))
    assert len(one) == len(two) == 4
    for mine, other in zip(one, two, strict=True):
        assert mine["loss"] == pytest.approx(other["loss"], abs=1e-5, rel=0)
        assert mine["test_error_percent"] == other["test_error_percent"]
    assert one[-1]["loss"] < one[0]["loss"] - 1e-2


@pytest.mark.parametrize("name", NORMS)
def test_batch_norm_sees_the_batches_of_both(folder, name):
    gradients = {}
    expected, weights, state = normalize(name, slice(None))
    for rank, share in enumerate(SHARES):
        mine, my_weights, my_state = torch.load(folder / f"{rank}.pt", weights_only=True)[name]
        for one, value in mine.items():
            if one != "quiet" or state:  # without running statistics, eval mode has those of the process' own batch
                torch.testing.assert_close(value, expected[one][share], **EXACT)
        torch.testing.assert_close(my_state, state, **EXACT)
        gradients = my_weights if not rank else {n: gradients[n] + g for n, g in my_weights.items()}
    torch.testing.assert_close(gradients, weights, **EXACT)


def test_batch_norm_of_many_numbers_is_as_exact_in_channels_last(folder):
    x = large_features()
    y = torch.load(folder / "large-0.pt", weights_only=True)
    assert y.flatten(1, 2).is_contiguous(memory_format=torch.channels_last)
    exact = x.double()
    axes = (0, 2, 3, 4)
    exact = (exact - exact.mean(axes, keepdim=True)) / exact.var(axes, keepdim=True, unbiased=False).sqrt()
    torch.testing.assert_close(y, exact.float(), rtol=0, atol=2e-6)  # added up one by one: 2e-5


def test_a_loss_that_is_no_number_in_one_process_stops_both_and_keeps_the_checkpoint_before(tmp_path):
    done = start(tmp_path, "work_until_nan")
    said = " ".join((done.stdout + done.stderr).split())
    assert done.returncode != 0
    assert "The loss became nan at step 7. Lower the learning rate (0.005)." in said
    checkpoint = read_checkpoint(tmp_path / "nan" / "checkpoints")
    assert checkpoint.step == 6
    assert all(tensor.isfinite().all() for tensor in checkpoint.weights.values())
    network, _ = load_trained(tmp_path / "nan" / "last.safetensors")
    assert all(torch.equal(t, checkpoint.weights[f"network.{n}"]) for n, t in network.state_dict().items())


def test_a_network_is_left_as_it_was():
    norm, _, _ = norm_and_input("group")
    with synchronized(norm):
        assert "forward" in vars(norm)
    assert "forward" not in vars(norm)
    assert type(norm) is GroupBatchNorm2d


if __name__ == "__main__":
    torch.set_num_threads(1)
    with tiny.tiny_by_name():
        {"work": work, "work_until_nan": work_until_nan}[sys.argv[2]](Path(sys.argv[1]))
