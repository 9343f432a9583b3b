"""Time of a training step of several networks, measured in turns, so that other load slows all of them alike."""

import math
import time
from collections.abc import Mapping
from functools import partial
from pathlib import Path

import torch
from torch import nn

from orbitconv._support.progress import ProgressCallback, silent
from orbitconv.records.record import Row
from orbitconv.train import Classification, Examples, Plan, Task, load_trained
from orbitconv.train.engine.layout import laid_out
from orbitconv.train.engine.optimizer import make_optimizer
from orbitconv.train.engine.processes import launched
from orbitconv.train.engine.step import train_step
from orbitconv.train.examples import Batch
from studies.base.timing import Clock, Pace, interleave, ratios, spread


def step_times(
    networks: Mapping[str, Path], examples: Examples, plan: Plan, rounds: int, progress: ProgressCallback = silent
) -> list[Row]:
    """Time of a training step of every network, one step of each in every round; a first round warms up."""
    total = min(plan.training.batch_size, len(examples))
    seconds = seconds_of_steps(
        {name: load_trained(path)[0] for name, path in networks.items()},
        (examples.images[:total], examples.labels[:total]),
        Classification(plan.training.label_smoothing), plan, rounds, time.perf_counter, progress,
    )  # fmt: skip
    first = next(iter(seconds.values()))
    return [
        {"network": name, "step_ms": 1e3 * spread(own).median, "step_ratio": spread(ratios(own, first)).median}
        for name, own in seconds.items()
    ]


def seconds_of_steps(
    networks: Mapping[str, nn.Module], batch: Batch, task: Task, plan: Plan, rounds: int, clock: Clock,
    progress: ProgressCallback = silent,
) -> dict[str, list[float]]:  # fmt: skip
    """Seconds of a training step of every network on one batch, round by round."""
    with launched(plan.hardware) as fabric:
        total = len(batch[0])
        there = batch[0].to(fabric.device), batch[1].to(fabric.device)

        def one_step(plan: Plan, module: nn.Module, optimizer: torch.optim.Optimizer) -> float:
            start = clock()
            loss, _ = train_step(fabric, module, optimizer, there, total, task, plan, 0)
            loss.item()  # waits for the device
            return clock() - start

        readings = {}
        for name, made in networks.items():
            network = fabric.to_device(made).train()
            readings[name] = partial(
                one_step,
                laid_out(plan, network, fabric.device.type),
                *fabric.setup(network, make_optimizer(network.parameters(), plan.training)),
            )
            readings[name]()
        pace = Pace(repeats=rounds, budget_seconds=math.inf)
        return interleave(readings, pace, on_round=lambda done: progress("time of a training step", done, rounds))
