"""How much a random filter of a basis amplifies activations: the one number that initialisation needs."""

import math

import torch
from jaxtyping import Float
from torch import Tensor

# Side of the periodic plane on which correlations are followed, in kernel sides.
_PLANE = 4


def mean_square_gain(atoms: Float[Tensor, "g d ky kx"], layers_before: int) -> float:
    """Mean square of the response to a unit-mean-square input plane, for coefficients of unit variance.

    For white input that is the energy of the atoms, averaged over the group: what He et al. (2015) count. Smooth atoms
    make their responses smooth, ReLU gives them a mean, and the next layer's smooth filters add that up in phase;
    counting energy alone, a deep network of circular harmonics explodes. So this follows the spatial correlation
    through layers of the same basis with ReLU between them and returns the gain of the last.

    Source: He et al. (2015), Delving deep into rectifiers; Cho & Saul (2009) for the correlation after ReLU.
    """
    sides = [_PLANE * side for side in atoms.shape[-2:]]
    spectrum = torch.fft.rfft2(atoms.double(), s=sides).abs().square().sum(1).mean(0)
    gain, correlation = 0.0, torch.zeros(sides, dtype=torch.float64, device=atoms.device)
    correlation[0, 0] = 1
    for layer in range(layers_before + 1):
        seen = _after_relu(correlation) if layer else correlation
        response = torch.fft.irfft2(spectrum * torch.fft.rfft2(seen), s=sides)
        gain = float(response[0, 0])
        if gain <= 0 or not math.isfinite(gain):
            break
        correlation = (response / gain).clamp(-1, 1)
    return gain


def _after_relu(correlation: Float[Tensor, "h w"]) -> Float[Tensor, "h w"]:
    """Second moment of two Gaussian variables after ReLU, relative to that of one."""
    return (torch.sqrt(1 - correlation.square()) + correlation * (math.pi - torch.arccos(correlation))) / math.pi
