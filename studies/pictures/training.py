"""One network of a study of pictures, trained in its own folder."""

import re
import time
from pathlib import Path

import orbitconv
from orbitconv import Builder
from orbitconv._support.progress import ProgressCallback
from orbitconv.train import Plan, TrainedNetwork
from orbitconv.train.fitting import Data
from studies.base.progress import named


def trained(
    name: str, seed: int, builder: Builder, data: Data, study: Path, plan: Plan, progress: ProgressCallback
) -> tuple[TrainedNetwork, float]:
    """The network, and the processor time of its training in seconds; a stopped training resumes.

    Other processes do not count. The time of the epochs of this process is extrapolated to all epochs.
    """
    name = f"{name}, {plan.training.epochs} epochs, seed {seed}"
    folder = study / "networks" / re.sub(r"[^a-z0-9]+", "-", name.lower())
    ends = [time.process_time()]

    def clock(_row: object) -> bool:
        ends.append(time.process_time())
        return False

    network = orbitconv.fit(
        builder, data, training=plan.training, augmentation=plan.augmentation, hardware=plan.hardware, seed=seed,
        out=folder, resume=folder.exists(), progress=named(progress, name), on_epoch=clock,
    )  # fmt: skip
    network.save(folder / "model.safetensors")
    epochs = len(ends) - 1
    mean = (ends[-1] - ends[0]) / max(epochs, 1)
    seconds = mean * plan.training.epochs if epochs else sum(float(row["seconds"]) for row in network.rows)
    return network, round(seconds, 1)
