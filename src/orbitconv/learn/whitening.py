"""Images whose spatial frequencies count alike."""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from orbitconv._support.precision import at_least_float32, without_autocast
from orbitconv.groups.spectra import filter_by_frequency

# Width of the Gaussian low-pass in pixels: past it lies what no pixel grid turns well.
SIGMA = 0.8


@without_autocast
def whiten_images(images: Float[Tensor, "*b h w"], sigma: float = SIGMA) -> Float[Tensor, "*b h w"]:
    """Flatten the spectrum of natural images: an isotropic ramp times a Gaussian low-pass.

    The amplitude of natural images falls as one over the spatial frequency; multiplied by the frequency it is even.
    After batch normalization a network's filters see differences rather than brightness: errors on whitened images say
    more about them than errors on plain ones. Borders are mirrored.
    16 bits are transformed in float32.

    Args:
        images: Images of any leading shape.
        sigma: Width of the low-pass, in pixels.

    Returns:
        Whitened images of the same shape and dtype.

    Raises:
        TypeError: If the images are not floating point.
        ValueError: If sigma is negative.
    """
    if sigma < 0:
        raise ValueError(f"whiten_images expects sigma >= 0 pixels, got {sigma}.")
    if not images.is_floating_point():
        raise TypeError(f"whiten_images expects floating-point images, got {images.dtype}. Convert them first.")
    if not images.numel():  # there is no Fourier transform of nothing
        return images.clone()
    white = filter_by_frequency(
        images.to(at_least_float32(images.dtype)),
        lambda frequency: frequency * torch.exp(-2 * (math.pi * sigma * frequency).square()),
    )
    return white.to(images.dtype)
