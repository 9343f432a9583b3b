"""How long a training step of several networks takes, measured in turns, so that other work slows all of them alike."""

import math
import time
from collections.abc import Mapping
from functools import partial
from pathlib import Path

import torch
from torch import nn

from orbitconv._support.progress import ProgressCallback, silent
from orbitconv.records.record import Row
from orbitconv.train import Examples, Plan, load_trained
from orbitconv.train.engine.layout import laid_out
from orbitconv.train.engine.optimizer import make_optimizer
from orbitconv.train.engine.processes import launched
from orbitconv.train.engine.step import train_step
from orbitconv.train.task import Classification
from studies.base.timing import Pace, interleave, ratios, spread


def step_times(
    networks: Mapping[str, Path], examples: Examples, plan: Plan, rounds: int, progress: ProgressCallback = silent
) -> list[Row]:
    """Time of a training step of every network, one step of each in every round; a first round warms up."""
    with launched(plan.hardware) as fabric:
        there, total = examples.to(fabric.device), min(plan.training.batch_size, len(examples))
        batch = there.images[:total], there.labels[:total]
        task = Classification(plan.training.label_smoothing)

        def one_step(plan: Plan, module: nn.Module, optimizer: torch.optim.Optimizer) -> float:
            start = time.perf_counter()
            loss, _ = train_step(fabric, module, optimizer, batch, total, task, plan, 0)
            loss.item()  # waits for the device
            return time.perf_counter() - start

        readings = {}
        for name, path in networks.items():
            network = fabric.to_device(load_trained(path)[0]).train()
            readings[name] = partial(
                one_step,
                laid_out(plan, network, fabric.device.type),
                *fabric.setup(network, make_optimizer(network.parameters(), plan.training)),
            )
            readings[name]()
        pace = Pace(repeats=rounds, budget_seconds=math.inf)
        seconds = interleave(readings, pace, on_round=lambda done: progress("time of a training step", done, rounds))
    first = next(iter(seconds.values()))
    return [
        {"network": name, "step_ms": 1e3 * spread(own).median, "step_ratio": spread(ratios(own, first)).median}
        for name, own in seconds.items()
    ]
