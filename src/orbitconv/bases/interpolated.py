"""Filters turned by interpolation between their pixels: the practice that a learned basis replaces.

Source: Bekkers et al. (2018), Roto-translation covariant convolutional networks; Diaconu & Worrall (2019), section 2.
"""

from collections.abc import Callable
from typing import Literal, final

import numpy as np
import torch
from jaxtyping import Float

from orbitconv._support.checks import Size2, as_pair
from orbitconv.bases.exact import enclosing_window, pixel_atoms
from orbitconv.bases.filter_basis import FixedBasis
from orbitconv.bases.orbits import complete_orbit
from orbitconv.groups import Group

Border = Literal["constant", "grid-constant"]
_Weights = Callable[[Float[np.ndarray, "p q"], Float[np.ndarray, "p q"]], Float[np.ndarray, "p q"]]


class InterpolatedBasis(FixedBasis):
    """One atom per pixel, turned by sampling the one-pixel filter at the turned positions.

    Args:
        group: Any group.
        kernel_size: Height and width of the filter, in pixels. A rectangle lives in the enclosing square
            if the group has other turns than the half turn.
        weights: Interpolation weight of a pixel from the (row, column) offset of the sampling point.
        border: What lies outside the filter. `"constant"`: a point beyond the outermost pixel centres reads zero.
            `"grid-constant"`: the pixels around the filter are zero and take part in the interpolation. The names
            are those of `scipy.ndimage`.

    Raises:
        ValueError: If the border is unknown.
    """

    def __init__(self, group: Group, kernel_size: Size2, weights: _Weights, border: Border) -> None:
        owner = type(self).__name__
        if border not in {"constant", "grid-constant"}:
            raise ValueError(f"{owner} expects border 'constant' or 'grid-constant', got {border!r}.")
        height, width = window = enclosing_window(owner, group, kernel_size)
        pixels = pixel_atoms(as_pair(owner, "kernel_size", kernel_size), window)
        centre = (np.array([[height], [width]]) - 1) / 2
        grid = np.indices((height, width)).reshape(2, -1) - centre

        def turn(g: int) -> Float[np.ndarray, "d p"]:
            source = group.matrix(g).T @ grid
            rows, cols = source[:, :, None] - grid[:, None, :]
            sampled = weights(rows, cols)
            if border == "constant":
                sampled = sampled * np.all(np.abs(source) <= centre + 1e-9, axis=0)[:, None]
            return pixels @ sampled.T

        super().__init__(group, window, torch.from_numpy(complete_orbit(group, window, turn)))
        self.border = border


@final
class NearestBasis(InterpolatedBasis):
    """Each pixel of the turned filter takes the value of the nearest pixel.

    Args:
        group: Any group.
        kernel_size: Height and width of the filter, in pixels.
        border: `"constant"` (points beyond the outermost pixel centres read zero) or `"grid-constant"`.
    """

    def __init__(self, group: Group, kernel_size: Size2, *, border: Border = "constant") -> None:
        def nearest(rows: np.ndarray, cols: np.ndarray) -> np.ndarray:
            # Half-way points go to the pixel on one fixed side, so that every point has one nearest pixel.
            near = (rows >= -0.5) & (rows < 0.5) & (cols >= -0.5) & (cols < 0.5)
            return near.astype(float)

        super().__init__(group, kernel_size, nearest, border)


@final
class BilinearBasis(InterpolatedBasis):
    """Each pixel of the turned filter is the bilinear interpolation of the four around it.

    Args:
        group: Any group.
        kernel_size: Height and width of the filter, in pixels.
        border: `"constant"` (points beyond the outermost pixel centres read zero) or `"grid-constant"` (they fade
            into zeros around the filter, as `torch.nn.functional.grid_sample` does).
    """

    def __init__(self, group: Group, kernel_size: Size2, *, border: Border = "constant") -> None:
        def bilinear(rows: np.ndarray, cols: np.ndarray) -> np.ndarray:
            return np.clip(1 - np.abs(rows), 0, None) * np.clip(1 - np.abs(cols), 0, None)

        super().__init__(group, kernel_size, bilinear, border)


@final
class GaussianBasis(InterpolatedBasis):
    """Each pixel of the turned filter is a Gaussian-weighted mean of the pixels around it.

    The weights of the pixels inside the filter sum to one for every sampling point, so constants stay constant.

    Args:
        group: Any group.
        kernel_size: Height and width of the filter, in pixels.
        sigma: Width of the Gaussian, in pixels; the paper uses 0.3 to 0.5.

    Raises:
        ValueError: If sigma is not above zero.
    """

    def __init__(self, group: Group, kernel_size: Size2, sigma: float = 0.3) -> None:
        if not sigma > 0:
            raise ValueError(f"GaussianBasis expects sigma > 0 pixels, got {sigma}.")

        def gaussian(rows: np.ndarray, cols: np.ndarray) -> np.ndarray:
            exponent = -(rows**2 + cols**2) / (2 * sigma**2)
            weights = np.exp(exponent - exponent.max(axis=1, keepdims=True))
            return weights / weights.sum(axis=1, keepdims=True)

        super().__init__(group, kernel_size, gaussian, "grid-constant")
        self.sigma = sigma
