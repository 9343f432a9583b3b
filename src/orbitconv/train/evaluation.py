"""Error rate of a classifier."""

from collections.abc import Iterator

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from orbitconv.train.examples import Batch, Pixels, as_numbers
from orbitconv.train.task import Task


@torch.no_grad()
def class_scores(network: nn.Module, images: Pixels, batch_size: int = 500) -> Iterator[Float[Tensor, "b k"]]:
    """Scores of every class, batch by batch; the classifier is put in eval mode."""
    network.eval()
    is_cpu = images.device.type == "cpu"  # where channels last are faster
    for batch in images.split(batch_size):
        yield network(as_numbers(batch, channels_last=is_cpu))


def predict(network: nn.Module, images: Pixels) -> Int64[Tensor, " n"]:
    """Predicted class of every image; the classifier is put in eval mode."""
    return torch.cat([scores.argmax(1) for scores in class_scores(network, images)])


def error_percent(network: nn.Module, images: Pixels, labels: Int64[Tensor, " n"]) -> float:
    """Share of misclassified images in percent; the classifier is put in eval mode."""
    return 100 * float((predict(network, images) != labels).double().mean())


@torch.no_grad()
def count(network: nn.Module, batches: Iterator[Batch], task: Task) -> Int64[Tensor, "..."] | None:
    """Counts of a task over batches of images and labels; the network is put in eval mode."""
    network.eval()
    total = None
    for images, labels in batches:
        scores = network(as_numbers(images, channels_last=images.device.type == "cpu"))
        counts = task.counts(scores, labels)
        total = counts if total is None else total + counts
    return total
