"""A U-Net whose encoder is any backbone."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from orbitconv._support.checks import check_positive
from orbitconv.models.backbones.backbone import Backbone, conv_norm


class EncoderUNet(nn.Module):
    """From the maps of an encoder back to the pixels of the image.

    Maps are resized to the size of the next larger one (bilinear, which keeps the centre at every size), joined with
    it, and go through two 3x3 convolutions, with one of the widths each.

    Shapes:
        (batch, in_channels, height, width) -> (batch, num_classes, height, width)

    Raises:
        ValueError: If there is not one width for each map but the smallest.

    Source: Ronneberger, Fischer & Brox (2015), U-Net; Yakubovskiy (2019), Segmentation Models PyTorch.
    """

    def __init__(self, encoder: Backbone, num_classes: int, widths: Sequence[int]) -> None:
        super().__init__()
        if len(widths) != len(encoder.channels) - 1:
            raise ValueError(
                f"EncoderUNet expects {len(encoder.channels) - 1} widths for {len(encoder.channels)} maps of the "
                f"encoder, got {len(widths)}."
            )
        check_positive("EncoderUNet", num_classes=num_classes, **{f"widths[{i}]": w for i, w in enumerate(widths)})
        self.encoder, self.steps = encoder, nn.ModuleList()
        before = encoder.channels[-1]
        for skip, after in zip(encoder.channels[-2::-1], widths, strict=True):
            self.steps.append(nn.Sequential(conv_norm(before + skip, after, 3), conv_norm(after, after, 3)))
            before = after
        self.head = nn.Conv2d(before, num_classes, 3, padding=1)

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b k h w"]:
        """Scores of classes for every pixel."""
        maps = self.encoder(x)
        y = maps[-1]
        for step, skip in zip(self.steps, maps[-2::-1], strict=True):
            y = step(torch.cat([resized(y, skip), skip], 1))
        return resized(self.head(y), x)


def resized(x: Float[Tensor, "b c h w"], like: Float[Tensor, "b c2 h2 w2"]) -> Float[Tensor, "b c h2 w2"]:
    """Resize planes to the size of others."""
    return F.interpolate(x, size=like.shape[-2:], mode="bilinear", align_corners=False)


def encoder_unet(
    encoder: Callable[..., Backbone],
    num_classes: int,
    in_channels: int = 3,
    widths: Sequence[int] | None = None,
    **options: Any,
) -> EncoderUNet:
    """A U-Net on a backbone.

    Args:
        encoder: Builder of the backbone, such as `resnet18`.
        num_classes: Channels of the output.
        in_channels: Channels of the image.
        widths: Channels of the decoder's steps; by default 256, 128, 64 and 32, as many as there are.
        **options: Options of the builder.

    Returns:
        The network, untrained.

    Example:
        >>> import torch
        >>> from orbitconv.models import encoder_unet, resnet18
        >>> encoder_unet(resnet18, num_classes=2, width=4)(torch.zeros(1, 3, 65, 65)).shape
        torch.Size([1, 2, 65, 65])
    """
    built = encoder(in_channels=in_channels, features_only=True, **options)
    steps = len(built.channels) - 1
    return EncoderUNet(built, num_classes, (256, 128, 64, 32)[-steps:] if widths is None else widths)
