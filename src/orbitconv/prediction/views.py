"""Scores of every pixel, averaged over turned views of a picture."""

import math

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from orbitconv.groups import rotate_images
from orbitconv.train.networks import TrainedNetwork


@torch.no_grad()
def turned_answers(
    trained: TrainedNetwork, images: Float[Tensor, "b c h w"], turns: int, margin: int = 0
) -> Float[Tensor, "b k h w"]:
    """Class probabilities of every pixel, averaged over turned views whose outputs are turned back.

    Views are turned in equal steps of a full circle about the centre of the picture: by whole quarters, which move
    pixels, and then by a cubic spline within the frame, which gets zeros from outside. A pixel is averaged over the
    views in which it lies in the frame, `margin` pixels from its border: for tiles, whose frame cuts through a picture.
    In the upright view all count. Where four divides the number of turns, a picture that is turned by a quarter gets
    the same output, turned.
    """
    total, views = images.new_zeros(()), images.new_zeros(())
    for view in range(turns):
        quarters, rest = divmod(4 * view, turns)
        turned = torch.rot90(images, quarters, (-2, -1))
        if rest == 0:
            said, seen = trained(turned), torch.ones_like(turned[:1, :1])
        else:
            angle = math.pi / 2 * rest / turns
            said = rotate_images(trained(rotate_images(turned, angle)), -angle)
            seen = rotate_images(_frame(turned, margin), -angle, order=0)
        total = total + torch.rot90(seen * said, -quarters, (-2, -1))
        views = views + torch.rot90(seen, -quarters, (-2, -1))
    return total / views


def _frame(images: Float[Tensor, "b c h w"], margin: int) -> Float[Tensor, "1 1 h w"]:
    """One inside the margin, zero in it."""
    height, width = images.shape[-2:]
    if min(height, width) <= 2 * margin:
        return images.new_zeros(1, 1, height, width)
    return F.pad(images.new_ones(1, 1, height - 2 * margin, width - 2 * margin), (margin,) * 4)
