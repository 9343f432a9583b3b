"""Costs of networks before training: time of a step and of a picture, size of the exported file."""

import math
import statistics
import tempfile
import time
from collections.abc import Mapping
from functools import partial
from pathlib import Path

import torch
from torch import nn

from orbitconv._support.progress import ProgressCallback
from orbitconv.export import export_model
from orbitconv.models import TurnedCopies
from orbitconv.nn import fold
from orbitconv.nn.products import kernel
from orbitconv.records.record import Row
from orbitconv.train import Augmentation, Classification, Plan
from studies.base.timing import Pace, interleave, seconds_of
from studies.networks.step_times import seconds_of_steps
from studies.rivals.data import Kind, Pictures
from studies.rivals.rows import PARAMETERS, UPRIGHT, Rival
from studies.rivals.settings import Rivals
from studies.rivals.upright import TurnedUpright


def augmentation_of(kind: Kind) -> Augmentation:
    """Random rotation, and mirroring where mirror images are equivalent."""
    return Augmentation(rotation="circle", flip=kind.flip)


def turned_name(config: Rivals) -> str:
    """Name of the plain network averaged over rotated copies."""
    return f"plain, mean over {config.turns} turns"


def costs(config: Rivals, pictures: Pictures, rivals: Mapping[str, Rival], progress: ProgressCallback) -> list[Row]:
    """For every network a row with the median of its times, in milliseconds of the processor, and megabytes of ONNX.

    The time of a picture is that of the folded network on a batch, over the pictures in it; with the turns of those
    that turn pictures, which are not in the file.
    """
    batch, (images, labels) = config.training.batch_size, pictures.train
    made = {name: one.build(pictures) for name, one in rivals.items()}
    steps = seconds_of_steps(
        made, (images[:batch], labels[:batch]), Classification(),
        Plan(training=config.training, augmentation=augmentation_of(pictures.kind), hardware=config.hardware),
        config.rounds, time.process_time, progress,
    )  # fmt: skip
    plain = rivals[PARAMETERS].build(pictures).eval()
    folded: dict[str, nn.Module] = {
        **{name: fold(one.eval()) for name, one in made.items()},
        UPRIGHT: TurnedUpright(fold(plain), pictures.kind.pose),
        turned_name(config): TurnedCopies(fold(plain), config.turns, order=1),
    }
    x = pictures.test[0][: config.timed_pictures].contiguous(memory_format=torch.channels_last)
    with torch.inference_mode():
        passes = interleave(
            {name: partial(seconds_of, partial(network, x), time.process_time) for name, network in folded.items()},
            Pace(repeats=config.rounds, budget_seconds=math.inf), time.process_time,
            lambda done: progress("time of a picture", done, config.rounds),
        )  # fmt: skip
    steps[turned_name(config)] = steps[PARAMETERS]
    size = {name: _megabytes(network, pictures.image) for name, network in made.items() if name != UPRIGHT}
    return [
        {
            "network": name, "step_ms": 1e3 * statistics.median(steps[name]),
            "picture_ms": 1e3 * statistics.median(passes[name][1:] or passes[name]) / len(x),
            "onnx_mb": size.get(name, size[PARAMETERS]), "compiled_kernel": str(kernel.is_built()),
        }
        for name in folded
    ]  # fmt: skip


def _megabytes(network: nn.Module, image: tuple[int, ...]) -> float:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "network.onnx")
        export_model(network, path, "onnx", (image[0], image[1], image[2]))
        return path.stat().st_size / 1e6
