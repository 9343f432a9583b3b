"""Random draws as functions of the seed and of the place in the training, so that a checkpoint holds no random state.

All are made on the CPU: they are the same on every device, and do not depend on the number of processes.
"""

import itertools
from collections.abc import Iterator

import numpy as np
import torch
from jaxtyping import Int64
from torch import Tensor

# Purposes of streams of draws, so that no two of them are the same.
_AUGMENTATION, _LAYERS = 1, 2


def epoch_orders(n: int, seed: int, first_epoch: int = 0) -> Iterator[Int64[Tensor, " n"]]:
    """The order of the images in each epoch, without end.

    Args:
        n: Number of images.
        seed: Seed of the training.
        first_epoch: Epoch to begin with, counted from zero; those before it are drawn and passed over.

    Returns:
        Iterator of permutations.
    """
    generator = torch.Generator().manual_seed(seed)
    orders = (torch.randperm(n, generator=generator) for _ in itertools.count())
    return itertools.islice(orders, first_epoch, None)


def augmentation_generator(seed: int, step: int) -> torch.Generator:
    """A generator for the augmentation of one step.

    Args:
        seed: Seed of the training.
        step: Number of the step.

    Returns:
        A new generator on the CPU.
    """
    return torch.Generator().manual_seed(_mix(seed, _AUGMENTATION, step))


def seed_layers(seed: int, step: int, rank: int) -> None:
    """Seed torch's own generators, which dropout draws from, for one step of one process.

    Args:
        seed: Seed of the training.
        step: Number of the step.
        rank: Number of the process.
    """
    torch.manual_seed(_mix(seed, _LAYERS, step, rank))


def _mix(*numbers: int) -> int:
    """One number of 63 bits from several, all of whose bits depend on all of theirs."""
    return int(np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0] >> np.uint64(1))
