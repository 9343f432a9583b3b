"""Canonicalisation: every picture is rotated into a pose computed from its pixels, before a plain network sees it."""

import math
from typing import Literal, final

import torch
from jaxtyping import Float
from torch import Tensor, nn

from orbitconv.groups import rotate_images

Pose = Literal["moments", "gradient"]
"""How the pose is computed: from the main axis of the bright pixels, or from the main direction of gradients."""


@final
class TurnedUpright(nn.Module):
    """A classifier after a rotation of each picture into its pose. (batch, c, h, w) -> (batch, classes)."""

    def __init__(self, network: nn.Module, pose: Pose) -> None:
        super().__init__()
        self.network = network
        self.pose: Pose = pose

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b k"]:
        """Rotate, then classify."""
        return self.network(upright(x, self.pose))


def upright(images: Float[Tensor, "b c h w"], pose: Pose) -> Float[Tensor, "b c h w"]:
    """Pictures rotated about their centres so that their pose lies along the rows."""
    return rotate_images(images, -pose_angles(images, pose))


def pose_angles(images: Float[Tensor, "b c h w"], pose: Pose) -> Float[Tensor, " b"]:
    """Counter-clockwise angle of the pose of each picture, in radians; only the disc inside the picture counts.

    An axis has two directions. Of moments that one is taken along which the third moment is not negative, of gradients
    that along which the mean gradient is not negative.
    """
    grey = images.mean(1)
    height, width = grey.shape[-2:]
    right = torch.arange(width).to(grey) - (width - 1) / 2
    up = ((height - 1) / 2 - torch.arange(height).to(grey))[:, None]
    disc = (torch.hypot(right, up) <= (min(height, width) - 1) / 2).to(grey)
    if pose == "moments":
        mass = grey * disc
        total = _sum(mass).clamp_min(1e-12)
        x, y = (axis - (_sum(mass * axis) / total)[:, None, None] for axis in (right, up))
        weight, power = mass, 3
    else:
        y, x = torch.gradient(grey, dim=(1, 2))
        y, weight, power = -y, disc, 1
    angle = torch.atan2(2 * _sum(weight * x * y), _sum(weight * (x.square() - y.square()))) / 2
    along = x * angle.cos()[:, None, None] + y * angle.sin()[:, None, None]
    return torch.where(_sum(weight * along**power) < 0, angle + math.pi, angle)


def _sum(values: Float[Tensor, "b h w"]) -> Float[Tensor, " b"]:
    return values.sum((1, 2))
