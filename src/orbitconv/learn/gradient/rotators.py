"""How training images turn: splines, bilinear interpolation, and the paper's Gaussian window."""

import math
from collections.abc import Callable
from functools import lru_cache
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from orbitconv._support.precision import at_least_float32, no_autocast
from orbitconv.groups import Group, act_image, is_exact
from orbitconv.groups.resampling import weighted_sums

Rotator = Literal["gaussian", "bilinear", "cubic", "quintic"]
ImageRotator = Callable[[Tensor, Group, int], Tensor]
"""Turns planes of any leading shape by a group element: `rotate(images, group, g)`."""

_SPLINE_ORDERS = {"bilinear": 1, "cubic": 3, "quintic": 5}


def image_rotator(name: Rotator, sigma: float = 0.4) -> ImageRotator:
    """A function that turns planes about their centre; what lies outside them is their mirror image.

    Every rotator moves pixels exactly where the group element maps the grid to itself.

    Args:
        name: `"gaussian"` (the paper's), `"bilinear"`, `"cubic"` or `"quintic"` (splines).
        sigma: Width of the Gaussian, in pixels.

    Returns:
        A linear, differentiable function of (images, group, element).

    Raises:
        ValueError: If the name is unknown, or sigma is not above zero.
    """
    if name == "gaussian":
        if not sigma > 0:
            raise ValueError(f"image_rotator expects sigma > 0 pixels, got {sigma}.")
        return lambda images, group, g: rotate_gaussian(images, group, g, sigma)
    if name not in _SPLINE_ORDERS:
        raise ValueError(f"image_rotator expects one of gaussian, {', '.join(_SPLINE_ORDERS)}, got {name!r}.")
    order = _SPLINE_ORDERS[name]
    return lambda images, group, g: act_image(images, group, g, order=order, padding_mode="reflect")


def rotate_gaussian(images: Float[Tensor, "*b h w"], group: Group, g: int, sigma: float) -> Float[Tensor, "*b h w"]:
    """Transform planes; between pixels, take the Gaussian-weighted mean of the 3x3 pixels around the nearest one.

    `sigma` is the width of the Gaussian in pixels. Where an element maps the grid to itself, nothing is blurred.

    Source: Diaconu & Worrall (2019), section 4.
    """
    height, width = images.shape[-2:]
    if is_exact(group, g, height, width):
        return act_image(images, group, g)
    index, weight = _gaussian_window(group, g, height, width, sigma)
    with no_autocast():
        table = images.reshape(math.prod(images.shape[:-2]), height * width).to(at_least_float32(images.dtype)).T
        sums = weighted_sums(table, torch.from_numpy(index).to(table.device), torch.from_numpy(weight).to(table))
        return sums.T.reshape(images.shape).to(images.dtype)


@lru_cache(maxsize=256)
def _gaussian_window(
    group: Group, g: int, height: int, width: int, sigma: float
) -> tuple[Int[np.ndarray, "t 9"], Float[np.ndarray, "t 9"]]:
    """The nine pixels around every sampling point, mirrored at the border, and their weights, which sum to one."""
    centre = (np.array([[height], [width]]) - 1) / 2
    source = group.matrix(g).T @ (np.indices((height, width)).reshape(2, -1) - centre) + centre
    # Points half-way between two pixels go to one fixed side, whatever rounding has done to them.
    nearest = np.floor(source + 0.5 + 1e-9)
    taps = nearest[:, :, None] + np.stack(np.meshgrid([-1, 0, 1], [-1, 0, 1], indexing="ij")).reshape(2, 1, 9)
    exponent = -np.square(taps - source[:, :, None]).sum(0) / (2 * sigma**2)
    weight = np.exp(exponent - exponent.max(axis=1, keepdims=True))
    rows, cols = (_mirror(axis.astype(np.int64), size) for axis, size in zip(taps, (height, width), strict=True))
    return rows * width + cols, weight / weight.sum(axis=1, keepdims=True)


def _mirror(index: Int[np.ndarray, "t 9"], size: int) -> Int[np.ndarray, "t 9"]:
    """Indices beyond the border, reflected about the outermost pixel."""
    period = max(2 * (size - 1), 1)
    folded = index % period
    return np.minimum(folded, period - folded) if size > 1 else np.zeros_like(index)
