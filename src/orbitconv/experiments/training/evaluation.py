"""How often a classifier is wrong."""

import torch
from jaxtyping import Int64
from torch import Tensor, nn

from orbitconv.experiments.training.examples import Pixels, as_numbers


@torch.no_grad()
def predict(network: nn.Module, images: Pixels, batch_size: int = 500) -> Int64[Tensor, " n"]:
    """Predicted class of every image.

    Args:
        network: Classifier; it is put in eval mode.
        images: Images.
        batch_size: Images at a time.

    Returns:
        Classes.
    """
    network.eval()
    is_cpu = images.device.type == "cpu"  # where channels last are faster
    return torch.cat([network(as_numbers(batch, channels_last=is_cpu)).argmax(1) for batch in images.split(batch_size)])


def error_percent(network: nn.Module, images: Pixels, labels: Int64[Tensor, " n"]) -> float:
    """Share of images that a network gets wrong.

    Args:
        network: Classifier; it is put in eval mode.
        images: Images.
        labels: Their classes.

    Returns:
        Error in percent.
    """
    return 100 * float((predict(network, images) != labels).double().mean())
