"""The optimizer and the schedule of its learning rate."""

import math
from collections.abc import Iterable

import torch
from torch import nn
from torch.optim.lr_scheduler import LambdaLR, LRScheduler, OneCycleLR

from orbitconv.train.settings import Training


def make_optimizer(parameters: Iterable[nn.Parameter], config: Training) -> torch.optim.Optimizer:
    """The optimizer that the settings name."""
    if config.optimizer == "adamw":
        return torch.optim.AdamW(parameters, config.learning_rate, weight_decay=config.weight_decay)
    return torch.optim.SGD(
        parameters, config.learning_rate, momentum=config.momentum, weight_decay=config.weight_decay,
        nesterov=config.momentum > 0,
    )  # fmt: skip


def make_schedule(optimizer: torch.optim.Optimizer, config: Training, total_steps: int) -> LRScheduler:
    """The schedule that the settings name; call its `step` after each step of the optimizer."""
    rising = config.warmup * total_steps
    if config.schedule == "one-cycle":
        share_rising = config.warmup if rising != 1 else config.warmup * (1 + 1e-9)  # torch divides by rising - 1
        return OneCycleLR(
            optimizer, config.learning_rate, total_steps=total_steps, pct_start=share_rising,
            cycle_momentum=config.optimizer == "adamw",
        )  # fmt: skip

    def share(step: int) -> float:
        """Share of the highest learning rate: up along a line, down along half a cosine to zero at the end."""
        if step < rising:
            return (step + 1) / (rising + 1)
        return (1 + math.cos(math.pi * (step - rising) / (total_steps - rising))) / 2

    return LambdaLR(optimizer, share)
