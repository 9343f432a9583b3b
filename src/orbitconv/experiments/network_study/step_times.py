"""How long a training step of several networks takes, measured in turns, so that other work slows all of them alike."""

import statistics
import time
from collections.abc import Mapping
from pathlib import Path

import torch

from orbitconv.experiments.record import Row
from orbitconv.experiments.training import Examples, Plan, load_trained
from orbitconv.experiments.training.optimizer import make_optimizer
from orbitconv.experiments.training.processes import launched
from orbitconv.experiments.training.step import train_step
from orbitconv.progress import ProgressCallback, silent


def step_times(
    networks: Mapping[str, Path], examples: Examples, plan: Plan, rounds: int, progress: ProgressCallback = silent
) -> list[Row]:
    """Time of a training step of every network, one step of each in every round; a first round warms up.

    Args:
        networks: Trained networks by name, as files or folders; the first is what the others are compared with.
        examples: Images, one batch of which all steps are made on.
        plan: How to train, and on what.
        rounds: How many rounds.
        progress: Called after every round.

    Returns:
        For each network, with its name as network, the median time of a step as step_ms, and the median over the rounds
        of its share of the first network's time in the same round as step_ratio.
    """
    seconds: dict[str, list[float]] = {name: [] for name in networks}
    with launched(plan.hardware) as fabric:
        batch = examples.to(fabric.device)
        index = torch.arange(min(plan.training.batch_size, len(examples)), device=fabric.device)
        ready = {}
        for name, path in networks.items():
            network = fabric.to_device(load_trained(path)[0]).train()
            ready[name] = fabric.setup(network, make_optimizer(network.parameters(), plan.training))
        for done in range(rounds + 1):
            for name, (module, optimizer) in ready.items():
                start = time.perf_counter()
                loss, _ = train_step(fabric, module, optimizer, batch, index, plan, done)
                loss.item()  # waits for the device
                if done:
                    seconds[name].append(time.perf_counter() - start)
            progress("time of a training step", done, rounds)
    first = next(iter(seconds.values()))
    return [
        {
            "network": name,
            "step_ms": 1e3 * statistics.median(own),
            "step_ratio": statistics.median(a / b for a, b in zip(own, first, strict=True)),
        }
        for name, own in seconds.items()
    ]
