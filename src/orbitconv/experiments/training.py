"""Train a classifier on images that are resident on the device, and measure its error."""

import math
import time
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int64
from torch import Tensor, nn

from orbitconv.checks import check_positive
from orbitconv.progress import ProgressCallback, silent


@dataclass(frozen=True, kw_only=True)
class Training:
    """How to train: AdamW on a one-cycle schedule."""

    epochs: int = 5
    """Passes over the training images."""
    batch_size: int = 64
    """Images in each step."""
    learning_rate: float = 5e-3
    """Highest learning rate of the cycle."""
    weight_decay: float = 1e-4
    """Decoupled weight decay."""

    def check(self) -> None:
        """Refuse settings that make no sense.

        Raises:
            ValueError: If a count is below one, the learning rate is not above zero, or the weight decay is below it.
        """
        check_positive("Training", epochs=self.epochs, batch_size=self.batch_size)
        if not (math.isfinite(self.learning_rate) and self.learning_rate > 0):
            raise ValueError(f"Training expects learning_rate > 0, got {self.learning_rate}.")
        if not (math.isfinite(self.weight_decay) and self.weight_decay >= 0):
            raise ValueError(f"Training expects weight_decay >= 0, got {self.weight_decay}.")


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
    """Train a network in place.

    Args:
        network: Classifier.
        images: Training images.
        labels: Their classes.
        config: How to train.
        seed: Seed of the order of the images.
        what: What the progress bar shall say.
        progress: Called after every step.

    Returns:
        Seconds it took.

    Raises:
        FloatingPointError: If the loss is no number; says at which step.
        ValueError: If there are fewer images than one batch.
    """
    if len(images) < config.batch_size:
        raise ValueError(f"train expects at least one batch of {config.batch_size} images, got {len(images)}.")
    order = torch.Generator().manual_seed(seed)
    per_epoch = len(images) // config.batch_size
    total = config.epochs * per_epoch
    optimizer = torch.optim.AdamW(network.parameters(), config.learning_rate, weight_decay=config.weight_decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, config.learning_rate, total_steps=total)
    start, step = time.perf_counter(), 0
    network.train()
    loss = torch.zeros(())
    for _ in range(config.epochs):
        shuffled = torch.randperm(len(images), generator=order).to(images.device)
        for index in shuffled[: per_epoch * config.batch_size].split(config.batch_size):
            loss = F.cross_entropy(network(images[index]), labels[index])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            step += 1
            progress(what, step, total)
        if not torch.isfinite(loss):
            raise FloatingPointError(
                f"The loss became {float(loss.detach())} by step {step} of {total}. Lower the learning rate "
                f"({config.learning_rate:g})."
            )
    return time.perf_counter() - start


@torch.no_grad()
def predict(network: nn.Module, images: Float[Tensor, "n c h w"], batch_size: int = 500) -> Int64[Tensor, " n"]:
    """Predicted class of every image.

    Args:
        network: Classifier; it is put in eval mode.
        images: Images.
        batch_size: Images at a time.

    Returns:
        Classes.
    """
    network.eval()
    return torch.cat([network(batch).argmax(1) for batch in images.split(batch_size)])


def error_percent(network: nn.Module, images: Float[Tensor, "n c h w"], labels: Int64[Tensor, " n"]) -> float:
    """Share of images that a network gets wrong.

    Args:
        network: Classifier; it is put in eval mode.
        images: Images.
        labels: Their classes.

    Returns:
        Error in percent.
    """
    return 100 * float((predict(network, images) != labels).double().mean())
