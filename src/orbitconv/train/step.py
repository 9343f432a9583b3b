"""One step of the optimizer, and one test, on each process' share of the images."""

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int64
from torch import Tensor, nn

from orbitconv.train.augmentation import augment, draw
from orbitconv.train.evaluation import predict
from orbitconv.train.examples import Examples, as_numbers
from orbitconv.train.randomness import augmentation_generator, seed_layers
from orbitconv.train.settings import Augmentation, Plan

if TYPE_CHECKING:
    from lightning_fabric import Fabric


def train_step(
    fabric: "Fabric",
    module: nn.Module,
    optimizer: torch.optim.Optimizer,
    examples: Examples,
    index: Int64[Tensor, " b"],
    plan: Plan,
    step: int,
) -> tuple[Float[Tensor, ""], Int64[Tensor, ""]]:
    """Move the weights once.

    Args:
        fabric: The device and the processes.
        module: The network, set up by Fabric.
        optimizer: Its optimizer, set up by Fabric.
        examples: What to train on, on the device.
        index: The images of this step, those of all processes.
        plan: How to alter the images, to lay them out (`laid_out`), to count the loss, and to clip.
        step: Number of steps done, which the random draws depend on.

    Returns:
        This process' share of the loss, the mean over processes being the loss; how many of its images were wrong.
    """
    share = _share(len(index), fabric)
    images, labels = as_numbers(examples.images[index[share]]), examples.labels[index[share]]
    if plan.augmentation != Augmentation():
        draws = draw(plan.augmentation, len(index), augmentation_generator(plan.seed, step))
        images = augment(images, plan.augmentation, draws.part(share, images.device))
    images = as_numbers(images, channels_last=plan.hardware.channels_last is True)
    if plan.seed_layers:
        seed_layers(plan.seed, step, fabric.global_rank)
    scores = module(images)
    loss = F.cross_entropy(scores, labels, label_smoothing=plan.training.label_smoothing)
    loss = loss * (len(labels) * fabric.world_size / len(index))  # shares may differ by an image
    optimizer.zero_grad()
    fabric.backward(loss)
    if plan.training.clip is not None:
        fabric.clip_gradients(module, optimizer, max_norm=plan.training.clip, error_if_nonfinite=False)
    optimizer.step()
    return loss.detach(), (scores.detach().argmax(1) != labels).sum()


def measure_error(fabric: "Fabric", network: nn.Module, examples: Examples) -> float:
    """Share of images that a network gets wrong, each process testing some, in 32 bits however it is trained.

    Args:
        fabric: The device and the processes.
        network: The network; it is put in eval mode.
        examples: What to test on, on the device.

    Returns:
        Error in percent.
    """
    share = _share(len(examples), fabric)
    wrong = torch.zeros((), dtype=torch.int64, device=fabric.device)
    if share.start < share.stop:
        wrong += (predict(network, examples.images[share]) != examples.labels[share]).sum()
    total = fabric.all_reduce(wrong, reduce_op="sum")
    assert isinstance(total, Tensor)
    return 100 * int(total) / len(examples)


def _share(n: int, fabric: "Fabric") -> slice:
    """This process' part of `n` images."""
    first, end = (n * rank // fabric.world_size for rank in (fabric.global_rank, fabric.global_rank + 1))
    return slice(first, end)
