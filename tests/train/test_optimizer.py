"""Schedules against their formulas, the optimizer and the average of weights against plain arithmetic."""

import math

import pytest
import torch
from torch import nn

from orbitconv.train import Hardware, Training
from orbitconv.train.engine.optimizer import make_optimizer, make_schedule
from orbitconv.train.engine.processes import launched
from orbitconv.train.engine.state import TrainingState


def rates(config, steps):
    """Learning rate of every step, and the one after the last."""
    optimizer = make_optimizer([nn.Parameter(torch.zeros(1))], config)
    schedule = make_schedule(optimizer, config, steps)
    seen = []
    for _ in range(steps):
        seen.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    return [*seen, optimizer.param_groups[0]["lr"]]


def test_cosine_rises_along_a_line_and_falls_to_zero():
    got = rates(Training(schedule="cosine", learning_rate=2.0, warmup=0.2), 10)
    falling = [1 + math.cos(math.pi * (step - 2) / 8) for step in range(2, 11)]
    assert got == pytest.approx([2 / 3, 4 / 3, *falling])
    assert got[-1] == 0


def test_one_cycle_rises_and_falls_along_cosines():
    got = rates(Training(learning_rate=2.0, warmup=0.3), 10)
    rising = [0.08 + (2 - 0.08) * (1 - math.cos(math.pi * step / 2)) / 2 for step in range(3)]
    last = 0.08 / 1e4
    falling = [last + (2 - last) * (1 + math.cos(math.pi * (step - 2) / 7)) / 2 for step in range(2, 10)]
    assert got[:10] == pytest.approx([*rising[:2], *falling])


@pytest.mark.parametrize("steps", range(1, 12))
@pytest.mark.parametrize("schedule", ["one-cycle", "cosine"])
def test_a_training_of_any_length_has_rates(steps, schedule):
    got = rates(Training(schedule=schedule, warmup=0.1, learning_rate=1.0), steps)
    assert all(0 <= rate <= 1 for rate in got)


def test_sgd_keeps_its_momentum_and_follows_nesterov():
    weight = nn.Parameter(torch.tensor([1.0], dtype=torch.float64))
    config = Training(optimizer="sgd", momentum=0.5, weight_decay=0.1, learning_rate=0.1, schedule="cosine")
    optimizer = make_optimizer([weight], config)
    expected, velocity = 1.0, 0.0
    for gradient in (1.0, -2.0, 0.5):
        decayed = gradient + 0.1 * expected
        velocity = 0.5 * velocity + decayed
        expected -= 0.1 * (decayed + 0.5 * velocity)
        weight.grad = torch.tensor([gradient], dtype=torch.float64)
        optimizer.step()
        assert weight.item() == pytest.approx(expected, rel=1e-14)


def test_the_average_of_weights_is_exponential_and_statistics_are_copied():
    network = nn.BatchNorm1d(1).double()
    with launched(Hardware(device="cpu")) as fabric:
        state = TrainingState(network, Training(average=0.75), 10, fabric)
    expected = None
    for value in (1.0, 5.0, -3.0):
        nn.init.constant_(network.weight, value)
        network.running_mean.fill_(10 * value)
        state.optimizer.step()
        state.advance()
        expected = value if expected is None else 0.75 * expected + 0.25 * value
        assert state.tested.weight.item() == pytest.approx(expected, rel=1e-14)
        assert state.tested.running_mean.item() == 10 * value
