"""Batches as a function of seed, epoch and step: shuffled, distributed over processes, resumable at any step."""

import itertools
from collections.abc import Iterator
from typing import final

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor
from torch.utils.data import Sampler

from orbitconv._support.checks import check_positive
from orbitconv.data.folders.picture_dataset import Draw

_WINDOWS, _BALANCE = 3, 4  # purposes of the draws, unlike those of training


def epoch_orders(n: int, seed: int, first_epoch: int = 0) -> Iterator[Int64[Tensor, " n"]]:
    """The order of the images in each epoch, without end; epochs before the first one are drawn and passed over."""
    generator = torch.Generator().manual_seed(seed)
    orders = (torch.randperm(n, generator=generator) for _ in itertools.count())
    return itertools.islice(orders, first_epoch, None)


def share(n: int, rank: int, world_size: int) -> slice:
    """The share of `n` images of one process: disjoint, complete, and of lengths that differ by at most one."""
    return slice(n * rank // world_size, n * (rank + 1) // world_size)


@final
class TrainBatches(Sampler[list[Draw]]):
    """Batches of one epoch: the same images in the same order, however many processes share them.

    Each iteration gives one epoch and moves on to the next; `start` sets which one comes next, and at which step.
    Batches are counted over all processes; the last, smaller one of an epoch is dropped. With weights, images are drawn
    with replacement; without, each comes once an epoch.

    Raises:
        ValueError: If there are fewer images than one batch, or fewer in a batch than processes, or another number of
            weights than of images.
    """

    def __init__(
        self, n: int, batch_size: int, *, seed: int = 0, epoch: int = 0, first_step: int = 0, rank: int = 0,
        world_size: int = 1,
        weights: Float[Tensor, " n"] | None = None,
    ) -> None:  # fmt: skip
        check_positive("TrainBatches", n=n, batch_size=batch_size, world_size=world_size)
        if n < batch_size or batch_size < world_size:
            raise ValueError(
                f"TrainBatches expects at least one batch of images, and one image of it for each process, got {n} "
                "images "
                f"in batches of {batch_size} on {world_size} processes. Lower the batch size, or use fewer processes."
            )
        if weights is not None and weights.shape != (n,):
            raise ValueError(f"TrainBatches expects {n} weights, got shape {tuple(weights.shape)}.")
        self._weights = weights
        self._n, self._batch_size, self._seed = n, batch_size, seed
        self._rank, self._world_size = rank, world_size
        self.start(epoch, first_step)

    def start(self, epoch: int, first_step: int = 0) -> None:
        """Set the step, in an epoch from 0, where the next iteration begins."""
        steps = self._n // self._batch_size
        if epoch < 0 or not 0 <= first_step <= steps:
            raise ValueError(
                f"TrainBatches expects an epoch of 0 or more and a step from 0 to {steps}, got {epoch} and "
                f"{first_step}."
            )
        self._epoch, self._first_step = epoch, first_step

    def __len__(self) -> int:
        return self._n // self._batch_size - self._first_step

    def __iter__(self) -> Iterator[list[Draw]]:
        epoch, first_step = self._epoch, self._first_step
        self.start(epoch + 1)
        seeds = np.random.SeedSequence((self._seed, _WINDOWS, epoch)).generate_state(self._n, np.uint64) >> np.uint64(1)
        order = self._order(epoch)
        for step in range(first_step, self._n // self._batch_size):
            whole = range(step * self._batch_size, (step + 1) * self._batch_size)
            yield [(order[i], int(seeds[i])) for i in whole[share(self._batch_size, self._rank, self._world_size)]]

    def _order(self, epoch: int) -> list[int]:
        """Images of an epoch."""
        if self._weights is None:
            return next(epoch_orders(self._n, self._seed, epoch)).tolist()
        (state,) = np.random.SeedSequence((self._seed, _BALANCE, epoch)).generate_state(1, np.uint64) >> np.uint64(1)
        generator = torch.Generator().manual_seed(int(state))
        return torch.multinomial(self._weights, self._n, replacement=True, generator=generator).tolist()


@final
class TestBatches(Sampler[list[int]]):
    """All images in order, each process a part of them."""

    __test__ = False  # no test of pytest

    def __init__(self, n: int, batch_size: int, *, rank: int = 0, world_size: int = 1) -> None:
        check_positive("TestBatches", batch_size=batch_size, world_size=world_size)
        self._mine, self._batch_size = range(n)[share(n, rank, world_size)], batch_size

    def __len__(self) -> int:
        return -(-len(self._mine) // self._batch_size)

    def __iter__(self) -> Iterator[list[int]]:
        for first in range(0, len(self._mine), self._batch_size):
            yield list(self._mine[first : first + self._batch_size])
