"""Moments summed over processes: two of them, started for real, against one that sees every image."""

import os
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest
import torch
import torch.distributed as dist

from orbitconv.bases import SpectralBasis
from orbitconv.groups import Cyclic, Dihedral
from orbitconv.learn import Moments, PairMoments, measure_moments, measure_pairs
from orbitconv.learn.processes import _meeting_place
from references import smooth_images

C8 = Cyclic(8)
WORLD = 2
SHARES = {
    "halves": [slice(0, 20), slice(20, 40)],
    "every other one": [slice(0, None, 2), slice(1, None, 2)],
    "uneven": [slice(0, 3), slice(3, None)],
    "none on process 0": [slice(0, 0), slice(0, None)],
    "none on process 1": [slice(0, None), slice(0, 0)],
}
DIFFERENT = {
    "group": lambda rank: Moments([C8, Dihedral(8)][rank], 3),
    "kernel": lambda rank: Moments(C8, [3, (3, 5)][rank]),
    "order": lambda rank: Moments(C8, 3, order=[3, 5][rank]),
    "standardize": lambda rank: Moments(C8, 3, standardize=bool(rank)),
    "whiten": lambda rank: Moments(C8, 3, whiten=bool(rank)),
    "summed": lambda rank: Moments(C8, 3).all_reduce(dist.new_group([0])) if not rank else idle(),
}


def idle() -> Moments:
    """Making a group of processes takes all of them, also those that stay outside."""
    dist.new_group([0])
    return Moments(C8, 3)


def numbers(moments: Moments) -> dict:
    return {"sums": moments.sums, "counts": (moments.num_images, moments.num_points, moments.num_constant)}


def refusal(act) -> str:
    try:
        act()
    except ValueError as error:
        return str(error)
    return "nothing was refused"


def work(rank: int, folder: Path) -> None:
    """What each process does; writes down what it got."""
    file = (folder / "rendezvous").as_uri()
    dist.init_process_group("gloo", init_method=file, rank=rank, world_size=WORLD, timeout=timedelta(seconds=60))
    images, got = smooth_images(), {}
    for name, shares in SHARES.items():
        got[name] = numbers(Moments(C8, 3).update(images[shares[rank]]).all_reduce())
    got["float32"] = numbers(measure_moments(images[rank::WORLD].float(), C8, 3).all_reduce())
    blank = torch.full((3, 1, 24, 24), 0.7, dtype=torch.float64)
    got["constant on process 0"] = numbers(Moments(C8, 3).update(images if rank else blank).all_reduce())
    got["nothing anywhere"] = refusal(lambda: Moments(C8, 3).all_reduce().cross)

    mine = measure_moments(images[rank::WORLD], C8, 3)
    before, total = numbers(mine), mine.all_reduce()
    got |= {"before": before, "again": numbers(mine.all_reduce()), "after": numbers(mine), "total": numbers(total)}
    got["basis"] = SpectralBasis(C8, 3, total, dimension=6)(torch.float64)
    got["total twice"] = refusal(total.all_reduce)
    got["plus"] = refusal((mine + total).all_reduce)

    pairs = PairMoments((24, 24))
    if rank:  # process 0 has none
        pairs.update(images[:, 0], images[:, 0].roll(1, -1))
    summed = pairs.all_reduce()
    got["pairs"] = {"sums": summed.sums, "counts": (summed.num_pairs, summed.norm_error)}
    got["pairs alone"] = pairs.num_pairs
    got["pairs twice"] = refusal((summed + pairs).all_reduce)
    got["different pairs"] = refusal(PairMoments((rank + 2,)).all_reduce)

    alone = dist.new_group([0])
    got["subgroup"] = refusal(lambda: mine.all_reduce(alone)) if rank else numbers(mine.all_reduce(process_group=alone))
    got |= {f"different {name}": refusal(make(rank).all_reduce) for name, make in DIFFERENT.items()}
    torch.save(got, folder / f"{rank}.pt")
    dist.destroy_process_group()


@pytest.fixture(scope="module")
def got(tmp_path_factory) -> list[dict]:
    """What every process got: one start for all tests."""
    folder = tmp_path_factory.mktemp("processes")
    path = os.pathsep.join([str(Path(__file__).parents[1]), *sys.path])
    options = {"env": os.environ | {"PYTHONPATH": path}, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    commands = [[sys.executable, __file__, str(rank), str(folder)] for rank in range(WORLD)]
    started = [subprocess.Popen(command, **options) for command in commands]
    try:
        for process in started:
            said, _ = process.communicate(timeout=180)
            assert process.returncode == 0, said.decode()
    finally:
        for process in started:
            process.kill()
            process.wait()
    return [torch.load(folder / f"{rank}.pt", weights_only=True) for rank in range(WORLD)]


def check(found: dict, expected: Moments) -> None:
    assert found["counts"] == (expected.num_images, expected.num_points, expected.num_constant)
    torch.testing.assert_close(found["sums"], expected.sums, rtol=1e-12, atol=0)


@pytest.mark.parametrize("share", SHARES)
def test_two_processes_give_the_answer_of_one(got, share):
    whole = measure_moments(smooth_images(), C8, 3)
    for mine in got:
        check(mine[share], whole)


def test_float32_images_are_summed_in_float64(got):
    check(got[0]["float32"], measure_moments(smooth_images().float(), C8, 3))


def test_every_process_gets_the_same_bits_and_the_same_basis(got):
    first, second = got
    for name in (*SHARES, "float32", "total"):
        assert torch.equal(first[name]["sums"], second[name]["sums"])
    assert torch.equal(first["basis"], second["basis"])


def test_a_process_whose_images_are_all_constant_adds_none(got):
    expected = measure_moments(smooth_images(), C8, 3)
    expected.num_constant = 3
    for mine in got:
        check(mine["constant on process 0"], expected)


def test_summing_leaves_the_moments_of_each_process_alone(got):
    for mine in got:
        for name, other in (("before", "after"), ("total", "again")):
            assert torch.equal(mine[name]["sums"], mine[other]["sums"])
            assert mine[name]["counts"] == mine[other]["counts"]


def test_what_is_summed_already_is_not_counted_twice(got):
    for mine in got:
        for name in ("total twice", "plus"):
            assert "expects the moments of one process, got sums over processes" in mine[name]


def test_moments_of_pairs_are_summed_as_those_of_images(got):
    images = smooth_images()[:, 0]
    whole = measure_pairs((images, images.roll(1, -1)))
    for rank, mine in enumerate(got):
        torch.testing.assert_close(mine["pairs"]["sums"], whole.sums, rtol=1e-12, atol=0)
        assert mine["pairs"]["counts"] == (len(images), whole.norm_error)
        assert mine["pairs alone"] == rank * len(images)
        assert "got sums over processes" in mine["pairs twice"]
        assert "feature_shape=(2,) on 0; feature_shape=(3,) on 1" in mine["different pairs"]
    assert torch.equal(got[0]["pairs"]["sums"], got[1]["pairs"]["sums"])


def test_a_group_of_some_processes_sums_those_only(got):
    check(got[0]["subgroup"], measure_moments(smooth_images()[::WORLD], C8, 3))
    assert "expects a process of the process group, got process 1" in got[1]["subgroup"]


def test_no_images_anywhere_is_said_on_reading(got):
    assert all("hold no images yet" in mine["nothing anywhere"] for mine in got)


@pytest.mark.parametrize(("name", "words"), [
    ("group", ("C8, kernel_size=3x3", "D8, kernel_size=3x3")),
    ("kernel", ("kernel_size=3x3", "kernel_size=3x5")),
    ("order", ("order=3", "order=5")),
    ("standardize", ("standardize=False", "standardize=True")),
    ("whiten", ("whiten=False", "whiten=True")),
    ("summed", ("already summed over processes on 0", "whiten=False on 1")),
])  # fmt: skip
def test_different_settings_are_refused_on_every_process(got, name, words):
    for mine in got:
        assert "Moments can be summed over processes for the same settings only, got" in mine[f"different {name}"]
        assert all(word in mine[f"different {name}"] for word in words)


@pytest.mark.parametrize(
    ("backends", "place"),
    [("cpu:gloo,cuda:gloo", "cpu"), ("cpu:gloo,cuda:nccl", "cpu"), ("cuda:nccl", "cuda:3")],
)
def test_sums_meet_where_the_backend_can_exchange_them(monkeypatch, backends, place):
    monkeypatch.setattr(dist, "get_backend_config", lambda _group: backends)
    monkeypatch.setattr(torch.accelerator, "current_accelerator", lambda: torch.device("cuda"))
    monkeypatch.setattr(torch.accelerator, "current_device_index", lambda: 3)
    assert _meeting_place(None) == torch.device(place)


def test_refuses_a_gpu_backend_without_a_gpu(monkeypatch):
    monkeypatch.setattr(dist, "get_backend_config", lambda _group: "cuda:nccl")
    monkeypatch.setattr(dist, "get_backend", lambda _group: "nccl")
    monkeypatch.setattr(torch.accelerator, "current_accelerator", lambda: None)
    with pytest.raises(RuntimeError, match=r"The backend nccl needs an accelerator, .* with gloo"):
        _meeting_place(None)


if __name__ == "__main__":
    torch.set_num_threads(1)
    work(int(sys.argv[1]), Path(sys.argv[2]))
