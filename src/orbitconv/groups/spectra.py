"""Filters of images that depend on the spatial frequency alone."""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor


def filter_by_frequency(
    images: Float[Tensor, "*b h w"], transfer: Callable[[Tensor], Tensor]
) -> Float[Tensor, "*b h w"]:
    """Multiply the spectrum of images by a function of the frequency, in cycles per pixel; borders are mirrored."""
    height, width = images.shape[-2:]
    mirrored = torch.cat([images, images.flip(-1)], dim=-1)
    mirrored = torch.cat([mirrored, mirrored.flip(-2)], dim=-2)
    rows = torch.fft.fftfreq(2 * height, dtype=images.dtype, device=images.device)
    cols = torch.fft.rfftfreq(2 * width, dtype=images.dtype, device=images.device)
    spectrum = torch.fft.rfft2(mirrored) * transfer(torch.hypot(rows[:, None], cols))
    return torch.fft.irfft2(spectrum, s=mirrored.shape[-2:])[..., :height, :width]
