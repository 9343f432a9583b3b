"""Random shifts, flips, rotations and elastic deformations of a batch of images, on its device."""

from dataclasses import dataclass, fields

import torch
from jaxtyping import Bool, Float, Int64, Shaped
from torch import Tensor
from torch.nn import functional as F

from orbitconv._support.optional import import_optional
from orbitconv.train.settings import Augmentation

_POINTS = 4
"""Points along each axis that a bend pulls."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Draws:
    """Parameters for each image: mirrored left to right, then shifted by pixels, then rotated, then bent.

    Quarter turns and further degrees below 90 are counter-clockwise; 4x4 points are pulled by pixels to the right and
    down.
    """

    flip: Bool[Tensor, " b"]
    down: Int64[Tensor, " b"]
    right: Int64[Tensor, " b"]
    quarters: Int64[Tensor, " b"]
    degrees: Float[Tensor, " b"]
    pull: Float[Tensor, "b 2 points points"]

    def part(self, which: slice, device: torch.device) -> "Draws":
        """The draws for some of the images."""
        return Draws(**{one.name: getattr(self, one.name)[which].to(device) for one in fields(self)})


def draw(config: Augmentation, n: int, generator: torch.Generator) -> Draws:
    """Draw the parameters for each image of a batch."""
    moves = torch.randint(-config.crop, config.crop + 1, (2, n), generator=generator)
    flip = torch.rand(n, generator=generator) < 0.5 if config.flip else torch.zeros(n, dtype=torch.bool)
    turn = torch.rand(n, generator=generator, dtype=torch.float64)
    if config.rotation == "none":
        turn = torch.zeros_like(turn)
    elif config.rotation != "circle":
        steps = 4 if config.rotation == "quarters" else 8
        turn = (steps * turn).floor() / steps
    quarters = (4 * turn).floor()
    degrees = (360 * turn - 90 * quarters).float()
    pull = torch.zeros(n, 2, _POINTS, _POINTS)
    if config.elastic:
        pull.normal_(0, config.elastic, generator=generator)
    return Draws(flip=flip, down=moves[0], right=moves[1], quarters=quarters.long(), degrees=degrees, pull=pull)


def augment(images: Float[Tensor, "b c h w"], config: Augmentation, draws: Draws) -> Float[Tensor, "b c h w"]:
    """Alter each image as drawn; zeros come in from outside.

    Mirrors, moves and quarter turns are exact; the rest of a turn and the bend are one bilinear warp. Between
    the points that a bend pulls, it goes by bicubic interpolation (Ronneberger, Fischer & Brox, U-Net, 2015,
    section 3.1).
    """
    if config.rotation != "none" and images.shape[-1] != images.shape[-2]:
        height, width = images.shape[-2:]
        raise ValueError(
            f"Augmentation by turns expects square images, got {height}x{width}. Pad them to a square first."
        )
    if config != Augmentation():
        images = _move(images, draws)
    if config.rotation in {"eighths", "circle"} or config.elastic:
        warped = (draws.degrees != 0) | (draws.pull != 0).flatten(1).any(1)
        images = torch.where(warped[:, None, None, None], _warp(images, draws), images)
    return images


def augment_masks(
    masks: Int64[Tensor, "b h w"], config: Augmentation, draws: Draws, outside: int
) -> Int64[Tensor, "b h w"]:
    """Alter masks as `augment` alters their images: each pixel of the result is one pixel of the mask, the nearest.

    Labels are below 2^24; what comes in from outside has the label `outside`.
    """
    # As images whose zeros are what comes in from outside.
    labels = masks[:, None] - outside
    if config != Augmentation():
        labels = _move(labels, draws)
    if config.rotation in {"eighths", "circle"} or config.elastic:
        warped = (draws.degrees != 0) | (draws.pull != 0).flatten(1).any(1)
        turned = _warp(labels.float(), draws, mode="nearest").long()
        labels = torch.where(warped[:, None, None, None], turned, labels)
    return labels[:, 0] + outside


def _move(images: Shaped[Tensor, "b c h w"], draws: Draws) -> Shaped[Tensor, "b c h w"]:
    """Mirror, move, and turn by quarters: each pixel of the result is one pixel of the image, or zero."""
    height, width = images.shape[-2:]
    row = torch.arange(height, device=images.device)[None, :, None]
    col = torch.arange(width, device=images.device)[None, None, :]
    quarters, down, right, flip = (one[:, None, None] for one in (draws.quarters, draws.down, draws.right, draws.flip))
    odd, back = quarters % 2 == 1, quarters >= 2
    last_row, last_col = height - 1 - row, width - 1 - col
    # Before the turn: (row, col), (col, end - row), (end - row, end - col), (end - col, row) for 0 to 3 quarters.
    row, col = (
        torch.where(odd, torch.where(back, last_col, col), torch.where(back, last_row, row)),
        torch.where(odd, torch.where(back, row, last_row), torch.where(back, last_col, col)),
    )
    row, col = row - down, col - right
    inside = (row >= 0) & (row < height) & (col >= 0) & (col < width)
    col = torch.where(flip, width - 1 - col, col)
    source = torch.where(inside, row * width + col, 0).flatten(1)[:, None].expand(-1, images.shape[1], -1)
    return (images.flatten(2).gather(2, source)).reshape(images.shape) * inside[:, None]


def _warp(images: Float[Tensor, "b c h w"], draws: Draws, mode: str = "bilinear") -> Float[Tensor, "b c h w"]:
    """Rotate each image counter-clockwise about its centre and deform it."""
    kornia = import_optional("kornia.geometry.transform", "train", "orbitconv's augmentation")
    height, width = images.shape[-2:]
    # Where each pixel of the result comes from, as seen from the centre.
    pull = F.interpolate(draws.pull.to(images), (height, width), mode="bicubic", align_corners=True)
    right = torch.arange(width).to(images) - (width - 1) / 2 - pull[:, 0]
    down = torch.arange(height).to(images)[:, None] - (height - 1) / 2 - pull[:, 1]
    angle = draws.degrees.to(images).deg2rad()[:, None, None]
    cos, sin = angle.cos(), angle.sin()
    x = cos * right - sin * down + (width - 1) / 2
    y = sin * right + cos * down + (height - 1) / 2
    return kornia.remap(images, x, y, mode=mode, align_corners=True)
