"""Build, train and measure one network for digits in one pixel order, for every part of `mlp_to_cnn`."""

import math
from dataclasses import dataclass, replace

import torch
from torch import nn

from orbitconv._support.progress import ProgressCallback
from orbitconv.data import ImageSet
from orbitconv.learn import ClosedGroup
from orbitconv.models import count_parameters
from orbitconv.models.digits import KERNEL, digit_cnn, digit_mlp, digit_orbit_cnn
from orbitconv.records.record import Row
from orbitconv.train import Training, error_percent, train
from studies.mlp_to_cnn.translations import order_for, reorder

FAMILIES = ("mlp", "learned", "cnn")
"""Knows nothing of the grid; learned it from pairs; has it built in."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Bench:
    """Training and test digits, and the settings of the training."""

    digits: ImageSet
    test: ImageSet
    unlabelled: ImageSet
    training: Training
    steps: int
    progress: ProgressCallback

    @property
    def side(self) -> int:
        """Side of the images, in pixels."""
        return self.digits.images.shape[-1]


def build(family: str, side: int, group: ClosedGroup | None, seed: int) -> nn.Module:
    """A network of one family."""
    if (family == "learned") != (group is not None):
        raise ValueError(f"The family 'learned', and no other, is built from a group; got {family!r} and {group}.")
    torch.manual_seed(seed)
    if group is not None:
        origin = 0 if group.origin is None else group.origin.cpu()
        return digit_orbit_cnn(group.generators.cpu(), group.orders, origin)
    return digit_mlp(side * side) if family == "mlp" else digit_cnn(side)


def measure(
    family: str, test: str, group: ClosedGroup | None, bench: Bench, *, seed: int, labels: int | None = None, what: str
) -> tuple[Row, nn.Module]:
    """Build one network, train it, and measure its error on the test digits."""
    order = order_for(test, bench.side**2)
    chosen = bench.digits if labels is None else bench.digits.take(labels, seed=seed)
    training = lengthen(bench.training, len(chosen), bench.steps)
    network = build(family, bench.side, group, seed)
    seconds = train(
        network, reorder(chosen.floats(), order), chosen.labels, training, seed=seed, what=what, progress=bench.progress
    )
    kernel = bench.side if family == "mlp" else KERNEL
    row: Row = {
        "family": family, "group": "c1" if group is None else "t" + "x".join(map(str, group.orders)),
        "kernel": kernel, "num_atoms": kernel**2, "seed": seed, "train": "plain" if test == "plain" else "permuted",
        "test": test, "labels": len(chosen), "epochs": training.epochs,
        "steps": training.epochs * (len(chosen) // training.batch_size),
        "test_error_percent": error_percent(network, reorder(bench.test.floats(), order), bench.test.labels),
        "parameters": count_parameters(network), "seconds": round(seconds, 2),
    }  # fmt: skip
    return row, network


def lengthen(training: Training, images: int, steps: int) -> Training:
    """Add epochs until a training on few images has a given number of steps."""
    batch = min(training.batch_size, images)
    return replace(training, batch_size=batch, epochs=max(training.epochs, math.ceil(steps / (images // batch))))
