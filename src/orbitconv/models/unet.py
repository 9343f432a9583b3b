"""U-Net: scores for every pixel."""

import itertools
from functools import partial
from typing import Literal, final

import torch
from jaxtyping import Float
from torch import Tensor, nn

from orbitconv._support.checks import Size2, check_positive
from orbitconv.models.kernel_bases import BasisLike
from orbitconv.models.layers import Layers, Mixing
from orbitconv.models.width import Width, choose_width, stage_widths
from orbitconv.nn import upsample_to


@final
class UNet(nn.Module):
    """Two convolutions on each of `depth` + 1 scales, down and up again, with the features of each scale handed across.

    Every convolution has batch norm and ReLU after it. Planes are halved by an anti-aliased low-pass and doubled by
    linear interpolation, both about the centre of the image: so the scores turn exactly with the image, by quarter
    turns and mirrors of the group, for planes of *any* height and width, and nothing is padded or cropped.

    The other options are those of `SmallCNN`.

    Args:
        out_channels: Scores of every pixel.
        depth: How often the planes are halved.
        width: Fields of the finest scale, or `"params"` or `"compute"`: as large as the plain twin. Each coarser scale
            has twice as many.
        pool_group: How the group is pooled before the last 1x1 convolution, `"max"` or `"mean"`.

    Shapes:
        (batch, in_channels, height, width) -> (batch, out_channels, height, width)

    Raises:
        ValueError: If an option is out of range, or the basis has another kernel size; at call time, if a side is not
            larger than 2^depth, so that a plane becomes too small to be halved.

    Source: Ronneberger et al. (2015), U-Net; Zhang (2019) for the low-pass.
    """

    def __init__(
        self,
        basis: BasisLike,
        out_channels: int = 1,
        *,
        depth: int = 4,
        width: Width = "params",
        plain_width: int = 64,
        kernel_size: Size2 | None = None,
        pool_group: Literal["max", "mean"] = "max",
        mixing: Mixing = "dense",
        in_channels: int = 3,
    ) -> None:
        check_positive("UNet", out_channels=out_channels, depth=depth, in_channels=in_channels)
        super().__init__()
        layers = Layers("UNet", basis, kernel_size, odd=True, mixing=mixing)
        profile = tuple(2**scale for scale in range(depth + 1))
        make = partial(UNet, out_channels=out_channels, depth=depth, pool_group=pool_group, in_channels=in_channels)
        side = 2 ** (depth + 2)
        self.width = choose_width(layers, width, plain_width, profile, make, (in_channels, side, side))
        fields = stage_widths(profile, self.width)
        self.halve = layers.blur_pool()
        self.down = nn.ModuleList()
        for scale, after in enumerate(fields):
            first = layers.conv(fields[scale - 1], after) if scale else layers.lift(in_channels, after)
            self.down.append(nn.Sequential(*layers.unit(first), *layers.unit(layers.conv(after, after))))
        self.up = nn.ModuleList()
        for after, coarse in reversed(list(itertools.pairwise(fields))):
            first, second = layers.conv(after + coarse, after), layers.conv(after, after)
            self.up.append(nn.Sequential(*layers.unit(first), *layers.unit(second)))
        self.pool = layers.pool_group(pool_group)
        self.score = nn.Conv2d(fields[0], out_channels, 1)

    def forward(self, x: Float[Tensor, "b i h w"]) -> Float[Tensor, "b o h w"]:
        """Scores of every pixel."""
        seen: list[Tensor] = []
        for scale, convolve in enumerate(self.down):
            x = convolve(self.halve(x) if scale else x)
            seen.append(x)
        x = seen.pop()
        for convolve in self.up:
            fine = seen.pop()
            x = convolve(torch.cat([fine, upsample_to(x, fine.shape[-2:])], 1))
        return self.score(self.pool(x))
