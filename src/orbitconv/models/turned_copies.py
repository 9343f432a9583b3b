"""A classifier asked several times about the same image, turned a little each time."""

import math
from typing import final

import torch
import torch.fx
from jaxtyping import Float
from torch import Tensor, nn

from orbitconv._support.checks import check_positive
from orbitconv.groups import rotate_images

torch.fx.wrap("rotate_images")  # a single call in a traced graph, as `fold` makes one


@final
class TurnedCopies(nn.Module):
    """The mean of what a classifier says about turned copies of each image.

    A network on C_N knows no difference between turns by 360 / N degrees. Copies at equal parts of such a step bring
    the step down to 360 / (N * copies) degrees, for images that are turned well: a network on C8 asked about two copies
    is as one on C16. It takes `copies` times as long, and needs no training.

    Args:
        network: Classifier, from images to scores of classes.
        copies: Copies of each image, the image itself included.
        order: Number N of turns that the network is invariant to; 1 for a plain one.

    Shapes:
        (batch, channels, height, width) -> (batch, classes), logarithms of the mean probabilities

    Raises:
        ValueError: If `copies` or `order` is below one.
    """

    def __init__(self, network: nn.Module, copies: int, *, order: int) -> None:
        super().__init__()
        check_positive(type(self).__name__, copies=copies, order=order)
        self.network = network
        self.angles = tuple(2 * math.pi * copy / (order * copies) for copy in range(copies))

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b k"]:
        """Turn, ask, and take the mean."""
        said = [self.network(rotate_images(x, angle)).log_softmax(1) for angle in self.angles]
        return torch.logsumexp(torch.stack(said), 0) - math.log(len(said))

    def extra_repr(self) -> str:
        """The turns, for `print`."""
        return f"degrees={tuple(round(math.degrees(angle), 3) for angle in self.angles)}"
