"""Independent, slow and obvious: what the tests compare the library with."""

import copy
import itertools
from collections.abc import Callable
from functools import lru_cache

import numpy as np
import scipy.ndimage
import torch
from torch import Tensor, nn

from orbitconv import bases
from orbitconv.groups import Cyclic, Dihedral, Group
from orbitconv.learn import Moments, measure_moments
from orbitconv.nn import (
    BasisConv2d,
    GroupAvgPool2d,
    GroupBatchNorm2d,
    GroupBlurPool2d,
    GroupConv2d,
    GroupDropout,
    GroupMaxPool2d,
    GroupPool,
    LiftingConv2d,
)


@lru_cache
def smooth_images(count: int = 40, size: int = 24, seed: int = 0) -> Tensor:
    """Low-pass filtered noise: a synthetic stand-in for photographs."""
    noise = np.random.default_rng(seed).normal(size=(count, size, size))
    return torch.from_numpy(scipy.ndimage.gaussian_filter(noise, (0, 1.0, 1.0)))[:, None]


@lru_cache
def smooth_moments(group: Group, kernel_size: int | tuple[int, int], count: int = 40, seed: int = 0) -> Moments:
    return measure_moments(smooth_images(count=count, seed=seed), group, kernel_size)


@lru_cache
def unitary(group: Group, kernel_size: int, count: int = 8) -> bases.UnitaryBasis:
    """A unitary basis fitted on smooth noise; copy it before you change it."""
    return bases.UnitaryBasis(group, kernel_size, smooth_moments(group, kernel_size, count))


def rotate(image: np.ndarray, angle: float, *, order: int, mode: str = "constant") -> np.ndarray:
    """Counter-clockwise rotation as displayed, about the centre, by SciPy."""
    cos, sin = np.round([np.cos(angle), np.sin(angle)], 15)  # quarter turns stay inside the image
    inverse = np.array([[cos, sin], [-sin, cos]])  # rows count downwards
    centre = (np.array(image.shape) - 1) / 2
    return scipy.ndimage.affine_transform(image, inverse, centre - inverse @ centre, order=order, mode=mode)


def transform(image: np.ndarray, group: Group, g: int, **options: object) -> np.ndarray:
    """Mirror left to right where the element does, then rotate, by SciPy."""
    mirrored = image[:, ::-1] if group.mirrors[g] else image
    return rotate(mirrored, 2 * np.pi * (g % group.num_rotations) / group.num_rotations, **options)


def turn(x: Tensor, quarters: int, *, mirror: bool = False) -> Tensor:
    """Exact quarter turns of the last two axes, after a left-right mirror if asked."""
    return torch.rot90(x.flip(-1) if mirror else x, quarters, (-2, -1))


def channels_last(x: Tensor) -> Tensor:
    """The same numbers, with planes that lie channels last in memory."""
    return x.flatten(1, -3).contiguous(memory_format=torch.channels_last).unflatten(1, x.shape[1:-2])


def correlate(
    x: np.ndarray, weight: np.ndarray, stride: tuple[int, int] = (1, 1), dilation: tuple[int, int] = (1, 1),
) -> np.ndarray:  # fmt: skip
    """Plane `x` (h w) correlated with one filter (ky kx), without padding, one output pixel after the other."""
    ky, kx = weight.shape
    height = (x.shape[0] - dilation[0] * (ky - 1) - 1) // stride[0] + 1
    width = (x.shape[1] - dilation[1] * (kx - 1) - 1) // stride[1] + 1
    y = np.zeros((height, width))
    for row, col in itertools.product(range(height), range(width)):
        for a, b in itertools.product(range(ky), range(kx)):
            y[row, col] += x[row * stride[0] + a * dilation[0], col * stride[1] + b * dilation[1]] * weight[a, b]
    return y


# Arguments of a layer, all of `torch.nn.Conv2d`.
OPTIONS = [
    {},
    {"stride": 2},
    {"stride": (1, 2), "padding": (2, 1)},
    {"padding": 1, "dilation": 2},
    {"groups": 2},
    {"bias": False},
    {"padding": "same", "padding_mode": "reflect"},
    {"padding": 1, "padding_mode": "circular"},
    {"padding": 2, "padding_mode": "replicate", "stride": 2},
    {"padding": "valid"},
]
_PAD = {"zeros": "constant", "reflect": "reflect", "replicate": "edge", "circular": "wrap"}


def padded(planes: np.ndarray, layer: BasisConv2d, options: dict) -> np.ndarray:
    """The last two axes padded as the options say, by numpy."""
    padding = options.get("padding", 0)
    if padding == "same":
        sides = [d * (k - 1) for d, k in zip(layer.dilation, layer.kernel_size, strict=True)]
        amounts = [(side // 2, side - side // 2) for side in sides]
    else:
        pair = (0, 0) if padding == "valid" else padding if isinstance(padding, tuple) else (padding, padding)
        amounts = [(p, p) for p in pair]
    lead = [(0, 0)] * (planes.ndim - 2)
    return np.pad(planes, lead + amounts, mode=_PAD[options.get("padding_mode", "zeros")])


FAMILIES: dict[str, Callable[[], bases.FilterBasis]] = {
    "exact-C4-3": lambda: bases.ExactBasis(Cyclic(4), 3),
    "exact-C1-4": lambda: bases.ExactBasis(Cyclic(1), 4),
    "exact-D4-2": lambda: bases.ExactBasis(Dihedral(4), 2),
    "exact-C2-3x5": lambda: bases.ExactBasis(Cyclic(2), (3, 5)),
    "exact-C4-3x5": lambda: bases.ExactBasis(Cyclic(4), (3, 5)),
    "nearest-C8-3": lambda: bases.NearestBasis(Cyclic(8), 3),
    "nearest-C12-4": lambda: bases.NearestBasis(Cyclic(12), 4),
    "bilinear-C8-3": lambda: bases.BilinearBasis(Cyclic(8), 3),
    "bilinear-D8-4": lambda: bases.BilinearBasis(Dihedral(8), 4),
    "bilinear-C6-3x5": lambda: bases.BilinearBasis(Cyclic(6), (3, 5)),
    "bilinear-C8-3-grid": lambda: bases.BilinearBasis(Cyclic(8), 3, border="grid-constant"),
    "gaussian-C8-3": lambda: bases.GaussianBasis(Cyclic(8), 3),
    "gaussian-D4-2": lambda: bases.GaussianBasis(Dihedral(4), 2, sigma=0.5),
    "harmonic-C8-3": lambda: bases.HarmonicBasis(Cyclic(8), 3),
    "harmonic-C16-5": lambda: bases.HarmonicBasis(Cyclic(16), 5),
    "harmonic-D6-4": lambda: bases.HarmonicBasis(Dihedral(6), 4),
    "unitary-C8-3": lambda: copy.deepcopy(unitary(Cyclic(8), 3)),
    "unitary-C8-2": lambda: copy.deepcopy(unitary(Cyclic(8), 2)),
    "unitary-C5-3": lambda: copy.deepcopy(unitary(Cyclic(5), 3)),
    "unitary-C12-4": lambda: copy.deepcopy(unitary(Cyclic(12), 4)),
    "unitary-D8-3": lambda: copy.deepcopy(unitary(Dihedral(8), 3)),
    "unitary-D4-5": lambda: bases.UnitaryBasis(Dihedral(4), 5),
    "spectral-C8-3": lambda: bases.SpectralBasis(Cyclic(8), 3, smooth_moments(Cyclic(8), 3), dimension=6),
    "spectral-D8-5": lambda: bases.SpectralBasis(Dihedral(8), 5, smooth_moments(Dihedral(8), 5), dimension=11),
    "spectral-C6-4": lambda: bases.SpectralBasis(Cyclic(6), 4, smooth_moments(Cyclic(6), 4), dimension=8),
}
# Families whose atoms span a space that the group maps to itself.
REPRESENTATIONS = [
    n for n in FAMILIES if n.startswith(("exact", "harmonic", "spectral", "unitary")) and n != "exact-C4-3x5"
]
# Families whose atoms stay linearly independent when they turn.
INDEPENDENT = [n for n in FAMILIES if not n.startswith(("nearest", "bilinear"))]


def network(basis: bases.FilterBasis, **factory) -> nn.Sequential:
    """Every kind of layer, with a linear head."""
    return nn.Sequential(
        LiftingConv2d(1, 3, basis, padding="same", **factory), GroupBatchNorm2d(3, **factory), nn.ReLU(),
        GroupBlurPool2d(), GroupConv2d(3, 4, basis, padding="same", **factory), GroupDropout(0.1), nn.ReLU(),
        GroupMaxPool2d(2), GroupConv2d(4, 4, basis, padding="same", **factory), GroupAvgPool2d(2), GroupPool(),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3, **factory),
    )  # fmt: skip


def images(*batch: int, **options) -> Tensor:
    """White noise of 16x16 pixels."""
    return torch.randn(*batch, 1, 16, 16, **options)


def check_gradients_of_each_image(reference: nn.Module, other: nn.Module, atol: float) -> None:
    """Compare the gradients of two networks with the same weights, for each image, as `torch.func` makes them."""
    other.load_state_dict(reference.state_dict())
    x, found = images(3, dtype=torch.float64), []
    for network in (reference.double(), other.double()):
        parameters = {name: p.detach() for name, p in network.named_parameters()}

        def loss(parameters: dict[str, Tensor], image: Tensor, network: nn.Module = network) -> Tensor:
            return torch.func.functional_call(network, parameters, (image[None],)).square().mean()

        found.append(torch.func.vmap(torch.func.grad(loss), in_dims=(None, 0))(parameters, x))
    for name, expected in found[0].items():
        torch.testing.assert_close(found[1][name], expected, rtol=0, atol=atol)
