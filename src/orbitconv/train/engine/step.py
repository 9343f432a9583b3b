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
    """Take one step of the optimizer.

    Args:
        fabric: The device and the processes.
        module: The network, set up by Fabric.
        optimizer: Its optimizer, set up by Fabric.
        batch: This process' share of the batch, on the device.
        total: Images of the batch, those of all processes.
        task: What is learned.
        plan: How to alter the images, to lay them out (`laid_out`), and to clip.
        step: Number of steps done, which the random draws depend on.

    Returns:
        This process' share of the loss, the mean over processes being the loss; how many of its images were wrong.
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
    """Test a network in float32, each process on its share of the images.

    Args:
        fabric: The device and the processes.
        network: The network; it is put in eval mode.
        source: What to test on, on the device.
        task: What was learned.

    Returns:
        The figures of the task, `error_percent` first.
    """
    counts = count(network, source.batches(fabric.global_rank, fabric.world_size), task)
    if counts is None:  # fewer images than processes: zeros of the right shape
        counts = count(network, iter([next(source.batches(0, 1))]), task)
        assert counts is not None
        counts = torch.zeros_like(counts)
    total = fabric.all_reduce(counts, reduce_op="sum")
    assert isinstance(total, Tensor)
    return task.figures(total.cpu())
