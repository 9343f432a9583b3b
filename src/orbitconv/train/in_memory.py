"""Train an existing module on tensors in memory."""

import time
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import asdict, replace
from pathlib import Path

from jaxtyping import Float, Int64
from torch import Tensor, nn

from orbitconv._support.progress import ProgressCallback, silent
from orbitconv.records.metric_lines import Row
from orbitconv.records.run_folder import CONFIG, RunFolder
from orbitconv.records.settings import tensor_digest
from orbitconv.train.engine.loop import Loop
from orbitconv.train.engine.processes import launched
from orbitconv.train.examples import Examples, Source
from orbitconv.train.settings import Plan, Training
from orbitconv.train.task import Task


def train(
    network: nn.Module,
    images: Float[Tensor, "n c h w"],
    labels: Int64[Tensor, " n"],
    config: Training,
    *,
    seed: int,
    what: str = "training",
    progress: ProgressCallback = silent,
) -> float:
    """Train a module in place on the device of its images; only the weights change.

    Args:
        network: Classifier.
        images: Training images.
        labels: Their classes.
        config: How to train.
        seed: Seed of the order of the images; dropout draws from torch's generator as it stands.
        what: What the progress bar shall say.
        progress: Called after every step.

    Returns:
        Seconds it took.
    """
    plan = Plan(training=config, seed=seed, seed_layers=False)
    start = time.perf_counter()
    config.check()
    with launched(plan.hardware, images.device) as fabric:
        Loop(fabric, network, Examples(images, labels), {}, plan, what=what, progress=progress).run()
    return time.perf_counter() - start


def train_examples(
    network: nn.Module,
    examples: Source,
    plan: Plan,
    *,
    tests: Mapping[str, Source] | None = None,
    task: Task | None = None,
    out: Path | None = None,
    resume: bool = False,
    tensorboard: bool = False,
    what: str = "training",
    progress: ProgressCallback = silent,
    on_epoch: Callable[[Row], bool] | None = None,
) -> list[Row]:
    """Train any module in place, with every feature of the loop: augmentation, precision, processes, checkpoints.

    Args:
        network: Classifier; on several processes, with the same weights in each.
        examples: What to train on.
        plan: What to do.
        tests: What to test on, by name; with "validation" among them, the best weights are kept in the checkpoint.
        task: What is learned; classification if not given.
        out: Folder for lines and checkpoints; None to keep nothing.
        resume: Resume the training in the folder, if there is one.
        tensorboard: Write TensorBoard event files too.
        what: What the progress bar shall say.
        progress: Called after every step.
        on_epoch: Called with the line of every epoch; true ends the training after it, on all processes alike.

    Returns:
        One line for each epoch.
    """
    plan.check()
    if out is not None:
        plan = replace(plan, seed_layers=True)
    with launched(plan.hardware) as fabric:
        loop = Loop(
            fabric, network, examples, tests or {}, plan, task=task, what=what, progress=progress, on_epoch=on_epoch
        )
        opened = nullcontext()
        if out is not None and fabric.is_global_zero:
            data = {"number of images": len(examples)}
            if isinstance(examples, Examples):
                data = {"images": tensor_digest(examples.images), "labels": tensor_digest(examples.labels)}
            opened = RunFolder(
                out, {**asdict(plan), **data}, resume=resume and (out / CONFIG).exists(),
                changeable={"hardware", "checkpoint_every"}, tensorboard=tensorboard,
            )  # fmt: skip
        with opened as folder:
            return loop.run(folder)
