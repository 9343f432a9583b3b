"""One step of the optimizer, and one test, on each process' share of the images."""

from typing import TYPE_CHECKING

import torch
from jaxtyping import Float
from torch import Tensor, nn

from orbitconv.data.batches import share
from orbitconv.train.augmentation import draw
from orbitconv.train.engine.randomness import augmentation_generator, seed_layers
from orbitconv.train.evaluation import count
from orbitconv.train.examples import Batch, Source, as_numbers
from orbitconv.train.settings import Augmentation, Plan
from orbitconv.train.task import Task

if TYPE_CHECKING:
    from lightning_fabric import Fabric


def train_step(
    fabric: "Fabric",
    module: nn.Module,
    optimizer: torch.optim.Optimizer,
    batch: Batch,
    total: int,
    task: Task,
    plan: Plan,
    step: int,
) -> tuple[Float[Tensor, ""], Tensor]:
    """Take one step of the optimizer on this process' share of a batch of `total` images, with `step` of them done.

    Returns this process' share of the loss, the mean over processes being the loss, and how many of its images were
    wrong. Random draws depend on the number of steps.
    """
    images, labels = as_numbers(batch[0]), batch[1]
    if plan.augmentation != Augmentation():
        draws = draw(plan.augmentation, total, augmentation_generator(plan.seed, step))
        mine = draws.part(share(total, fabric.global_rank, fabric.world_size), images.device)
        images, labels = task.augment(images, labels, plan.augmentation, mine)
    images = as_numbers(images, channels_last=plan.hardware.channels_last is True)
    if plan.seed_layers:
        seed_layers(plan.seed, step, fabric.global_rank)
    scores = module(images)
    loss = task.loss(scores, labels)
    loss = loss * (len(labels) * fabric.world_size / total)  # shares may differ by an image
    optimizer.zero_grad()
    fabric.backward(loss)
    if plan.training.clip is not None:
        fabric.clip_gradients(module, optimizer, max_norm=plan.training.clip, error_if_nonfinite=False)
    optimizer.step()
    return loss.detach(), task.wrong(scores.detach(), labels)


def measure(fabric: "Fabric", network: nn.Module, source: Source, task: Task) -> dict[str, float]:
    """Test a network in float32 and eval mode, each process on its share of the images; `error_percent` comes first."""
    counts = count(network, source.batches(fabric.global_rank, fabric.world_size), task)
    if counts is None:  # fewer images than processes: zeros of the right shape
        counts = count(network, iter([next(source.batches(0, 1))]), task)
        assert counts is not None
        counts = torch.zeros_like(counts)
    total = fabric.all_reduce(counts, reduce_op="sum")
    assert isinstance(total, Tensor)
    return task.figures(total.cpu())
