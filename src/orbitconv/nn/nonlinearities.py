"""Nonlinearities that keep feature maps turning with the image between pixels too."""

import functools
from typing import final

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from orbitconv._support.checks import check_positive

REACH = 3
"""Pixels on either side that a sample between pixels is made of."""

_SHARPNESS = 5.0  # of the Kaiser window


@final
class FilteredReLU(nn.Module):
    """ReLU without aliasing: planes are up-sampled by two, cut off at zero, low-passed and sampled at the pixels again.

    A ReLU makes edges that are finer than pixels, whose samples depend on where the pixels lie; at twice the
    resolution most of what it makes can be removed before. Windowed sinc filters of six pixels, symmetric about the
    pixels, so that quarter turns and mirrors stay exact at every size; beyond the border the last pixel is repeated.
    Constants come out as after a ReLU. Takes feature maps on a group and planar ones.

    Shapes:
        (*, height, width) -> (*, height, width)

    Raises:
        ValueError: At call time, if there are no planes.

    Source: Karras et al. (2021), Alias-free generative adversarial networks, section 3.1.
    """

    def forward(self, x: Float[Tensor, "*lead h w"]) -> Float[Tensor, "*lead h w"]:
        """Up, ReLU, down."""
        if x.ndim < 3:
            raise ValueError(f"FilteredReLU expects input of shape (..., height, width), got {tuple(x.shape)}.")
        known = resampling if torch.compiler.is_compiling() else _kept  # a compiled network keeps what it computes
        (tall, short), (wide, narrow) = known(x.shape[-2]), known(x.shape[-1])
        return short.to(x) @ F.relu(tall.to(x) @ x @ wide.to(x).mT) @ narrow.to(x).mT

    def extra_repr(self) -> str:
        """The filter, for `print`."""
        return f"up=2, reach={REACH}"


@final
class PairNormReLU(nn.Module):
    """ReLU of the norm of pairs of channels: (u, v) is shortened by a learned threshold, or becomes zero.

    With r = sqrt(u^2 + v^2), u and v are multiplied by max(0, 1 - t / r). Neither is cut off by itself, so that what a
    pixel holds changes direction nowhere. Channels 2 c and 2 c + 1 are a pair, with one threshold for all elements of
    a group, which keeps the layer equivariant. Takes feature maps on a group and planar ones.

    Args:
        num_channels: Channels of the input, an even number.
        threshold: What thresholds begin with; half the pairs of standard normal numbers exceed 1.18.
        eps: Added to the squared norm.

    Shapes:
        (batch, channels, *) -> (batch, channels, *)

    Raises:
        ValueError: If the number of channels is odd or below one; at call time, if the input has another.

    Source: Worrall et al. (2017), Harmonic networks, section 4.1, there for complex numbers.
    """

    def __init__(self, num_channels: int, threshold: float = 1.0, eps: float = 1e-6) -> None:
        super().__init__()
        check_positive("PairNormReLU", num_channels=num_channels)
        if num_channels % 2:
            raise ValueError(f"PairNormReLU expects an even number of channels, got {num_channels}.")
        self.num_channels, self.eps, self._start = num_channels, eps, threshold
        self.threshold = nn.Parameter(torch.empty(num_channels // 2))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Start from the given threshold."""
        nn.init.constant_(self.threshold, self._start)

    def forward(self, x: Float[Tensor, "b c *rest"]) -> Float[Tensor, "b c *rest"]:
        """Shorten every pair."""
        if x.ndim < 2 or x.shape[1] != self.num_channels:
            raise ValueError(
                f"PairNormReLU expects input of shape (batch, {self.num_channels}, ...), got {tuple(x.shape)}."
            )
        return shorten_pairs(x, self.threshold, self.eps)

    def extra_repr(self) -> str:
        """Options, for `print`."""
        return f"{self.num_channels}, eps={self.eps:g}"


def shorten_pairs(
    x: Float[Tensor, "b c *rest"], threshold: Float[Tensor, " p"], eps: float
) -> Float[Tensor, "b c *rest"]:
    """What PairNormReLU does."""
    pairs = x.unflatten(1, (-1, 2))
    norm = (pairs.square().sum(2, keepdim=True) + eps).sqrt()
    over = (threshold / norm.transpose(1, -1)).transpose(1, -1)  # pairs last, at any rank
    return (pairs * F.relu(1 - over)).flatten(1, 2)


def resampling(side: int) -> tuple[Float[Tensor, "fine side"], Float[Tensor, "side fine"]]:
    """Matrices in float64 that bring an axis to twice its resolution, and back with a low-pass; rows sum to one."""
    fine, coarse = _steps(0, 2 * side, 0.5), _steps(0, side)
    up = _samples(fine[:, None] - _steps(-REACH, side + REACH), side, REACH)
    down = _samples(coarse[:, None] - _steps(-2 * REACH, 2 * side + 2 * REACH, 0.5), 2 * side, 2 * REACH)
    return up, down


@functools.cache
def _kept(side: int) -> tuple[Tensor, Tensor]:
    """The matrices, made once; training may follow inference."""
    with torch.inference_mode(mode=False):
        return resampling(side)


def _steps(start: int, stop: int, shift: float = 0.0) -> Float[Tensor, " n"]:
    """Places of pixels, or of half pixels if shifted."""
    places = torch.arange(start, stop, dtype=torch.float64, device="cpu")
    return (places - shift) / 2 if shift else places


def half_band_taps() -> Float[Tensor, " taps"]:
    """The low-pass at twice the resolution, end to end: `4 * REACH` weights in float64 that sum to one."""
    taps = _windowed_sinc((_steps(0, 4 * REACH) - (4 * REACH - 1) / 2) / 2)
    return taps / taps.sum()


def _samples(offsets: Float[Tensor, "out padded"], side: int, border: int) -> Float[Tensor, "out side"]:
    """Weights of pixels at these offsets; those beyond the border count for the last pixel."""
    weights = _windowed_sinc(offsets)
    first, inside, last = weights.split((border, side, border), 1)
    edges = F.pad(first.sum(1, keepdim=True), (0, side - 1)) + F.pad(last.sum(1, keepdim=True), (side - 1, 0))
    folded = inside + edges
    return folded / folded.sum(1, keepdim=True)


def _windowed_sinc(offsets: Float[Tensor, "*n"]) -> Float[Tensor, "*n"]:
    """Sinc times a Kaiser window, zero from `REACH` pixels on."""
    inside = (1 - (offsets / REACH).square()).clamp(min=0)
    return torch.sinc(offsets) * torch.special.i0(_SHARPNESS * inside.sqrt()) * (offsets.abs() < REACH)
