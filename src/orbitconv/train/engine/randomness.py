"""Random draws as functions of seed and step, so that checkpoints need no generator state.

All are made on the CPU: they are the same on every device, and do not depend on the number of processes.
"""

import numpy as np
import torch

# Purposes of streams of draws, so that no two of them are the same.
_AUGMENTATION, _LAYERS = 1, 2


def augmentation_generator(seed: int, step: int) -> torch.Generator:
    """A generator for the augmentation of one step."""
    return torch.Generator().manual_seed(_mix(seed, _AUGMENTATION, step))


def seed_layers(seed: int, step: int, rank: int) -> None:
    """Seed torch's own generators, which dropout draws from, for one step of one process."""
    torch.manual_seed(_mix(seed, _LAYERS, step, rank))


def _mix(*numbers: int) -> int:
    """One number of 63 bits from several, all of whose bits depend on all of theirs."""
    return int(np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0] >> np.uint64(1))
