"""Image rotation by B-spline interpolation of high order, as a plain differentiable torch function.

Source: Unser, Aldroubi & Eden (1993), B-spline signal processing; boundaries as in `scipy.ndimage`.
"""

import math
from functools import lru_cache
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

PaddingMode = Literal["zeros", "reflect"]

# Values of the B-spline of each order at the integers, from its centre outwards.
_SAMPLES = {1: (1.0,), 3: (4 / 6, 1 / 6), 5: (66 / 120, 26 / 120, 1 / 120)}

# Images turned at once where each has an angle of its own.
_CHUNK = 256


def rotate_images(
    images: Float[Tensor, "b c h w"],
    angles: float | Float[Tensor, ""] | Float[Tensor, " b"],
    *,
    order: int = 3,
    padding_mode: PaddingMode = "zeros",
) -> Float[Tensor, "b c h w"]:
    """Rotate images about the centre of the array, counter-clockwise as displayed.

    Quarter turns of square images given as one number are exact permutations of the pixels.

    Args:
        images: Batch of images.
        angles: One angle for all images, or one for each, in radians.
        order: Order of the spline: 1 (bilinear), 3 (cubic) or 5 (quintic).
        padding_mode: What lies outside the image: `"zeros"`, or its mirror image (`"reflect"`).

    Returns:
        Rotated images of the same shape, device and dtype.

    Shapes:
        (batch, channels, height, width) -> (batch, channels, height, width)

    Raises:
        TypeError: If the images are not floating point.
        ValueError: If the rank, the number of angles, the order or the padding mode is not one of those above.
    """
    if images.ndim != 4:
        raise ValueError(f"rotate_images expects (batch, channels, height, width), got shape {tuple(images.shape)}.")
    if not images.is_floating_point():
        raise TypeError(f"rotate_images expects floating-point images, got {images.dtype}. Divide them by 255 first.")
    _check_order(order)
    _check_padding_mode(padding_mode)
    per_image = isinstance(angles, Tensor) and angles.ndim > 0
    angles = angles if isinstance(angles, Tensor) else torch.tensor(float(angles), dtype=torch.float64)
    if per_image and angles.shape != images.shape[:1]:
        raise ValueError(
            f"rotate_images expects one angle, or one for each of {images.shape[0]} images, "
            f"got angles of shape {tuple(angles.shape)}."
        )
    if not per_image and not angles.requires_grad:
        quarters = float(angles) / (math.pi / 2)
        if quarters == round(quarters) and (round(quarters) % 2 == 0 or images.shape[-1] == images.shape[-2]):
            return torch.rot90(images, round(quarters), (-2, -1))
    elif per_image and images.shape[0] > _CHUNK:  # the weights of every image at once would not fit the caches
        chunks = zip(images.split(_CHUNK), angles.split(_CHUNK), strict=True)
        return torch.cat([rotate_images(x, a, order=order, padding_mode=padding_mode) for x, a in chunks])
    theta = torch.as_tensor(angles, dtype=images.dtype, device=images.device).reshape(-1, 1)
    height, width = images.shape[-2:]
    rows = torch.arange(height, dtype=images.dtype, device=images.device) - (height - 1) / 2
    cols = torch.arange(width, dtype=images.dtype, device=images.device) - (width - 1) / 2
    rows, cols = (axis.flatten() for axis in torch.meshgrid(rows, cols, indexing="ij"))
    cos, sin = torch.cos(theta), torch.sin(theta)
    source_rows = cos * rows + sin * cols + (height - 1) / 2
    source_cols = cos * cols - sin * rows + (width - 1) / 2
    coefficients = spline_coefficients(images, order)
    return sample_spline(coefficients, source_rows, source_cols, order, padding_mode).reshape(images.shape)


def spline_coefficients(images: Float[Tensor, "*b h w"], order: int) -> Float[Tensor, "*b h w"]:
    """Coefficients of the B-spline that passes through every pixel, mirrored at the border pixels.

    Args:
        images: Images of any leading shape.
        order: 1, 3 or 5.

    Returns:
        Spline coefficients of the same shape.

    Raises:
        ValueError: If the order is not supported.
    """
    _check_order(order)
    if order == 1:
        return images
    solve_rows, solve_cols = (
        torch.as_tensor(_prefilter(size, order), dtype=images.dtype, device=images.device) for size in images.shape[-2:]
    )
    return solve_rows @ images @ solve_cols.T


def sample_spline(
    coefficients: Float[Tensor, "b c h w"],
    rows: Float[Tensor, "a t"],
    cols: Float[Tensor, "a t"],
    order: int,
    padding_mode: PaddingMode = "reflect",
) -> Float[Tensor, "b c t"]:
    """Evaluate a spline between the pixels.

    Args:
        coefficients: Spline coefficients.
        rows: Row coordinates in pixels; a leading axis of 1 shares them between all images.
        cols: Column coordinates in pixels, same shape.
        order: Order of the spline.
        padding_mode: `"zeros"` returns zero outside the outermost pixel centres, `"reflect"` mirrors there.

    Returns:
        Values at the given points.

    Raises:
        ValueError: If the padding mode is unknown.
    """
    _check_padding_mode(padding_mode)
    height, width = coefficients.shape[-2:]
    row_index, row_weight = _taps(rows, height, order)
    col_index, col_weight = _taps(cols, width, order)
    if padding_mode == "zeros":
        slack = 1e-6 * max(height, width)  # a rotation by 2 pi must not lose the border to rounding
        inside = (rows >= -slack) & (rows <= height - 1 + slack) & (cols >= -slack) & (cols <= width - 1 + slack)
        row_weight = [weight * inside for weight in row_weight]
    indices = [row * width + col for row in row_index for col in col_index]
    weights = [row * col for row in row_weight for col in col_weight]
    flat = coefficients.flatten(-2)
    if rows.shape[0] == 1:  # the same points in every image: one sparse product over pixels
        table = flat.flatten(0, 1).T.contiguous()
        index, weight = torch.stack([i[0] for i in indices], -1), torch.stack([w[0] for w in weights], -1)
        values = F.embedding_bag(index, table, per_sample_weights=weight, mode="sum")
        return values.T.reshape(*flat.shape[:2], -1)
    taps = (
        weight[:, None] * flat.gather(-1, index[:, None].expand(-1, flat.shape[1], -1))
        for index, weight in zip(indices, weights, strict=True)
    )
    return sum(taps, start=torch.zeros((), dtype=flat.dtype, device=flat.device))


def _check_order(order: int) -> None:
    if order not in _SAMPLES:
        raise ValueError(f"Spline interpolation has the orders {sorted(_SAMPLES)}, got {order}.")


def _check_padding_mode(padding_mode: str) -> None:
    if padding_mode not in {"zeros", "reflect"}:
        raise ValueError(f"padding_mode is 'zeros' or 'reflect', got {padding_mode!r}.")


def _taps(
    at: Float[Tensor, "a t"], size: int, order: int
) -> tuple[list[Int[Tensor, "a t"]], list[Float[Tensor, "a t"]]]:
    """Indices and weights of the order + 1 coefficients around each coordinate."""
    first = torch.floor(at) - (order - 1) // 2
    weights = _b_spline_samples(at - torch.floor(at), order)
    indices = []
    for offset in range(order + 1):
        index = (first.long() + offset).remainder(max(2 * (size - 1), 1))
        indices.append(torch.minimum(index, 2 * (size - 1) - index))
    return indices, weights


def _b_spline_samples(fraction: Float[Tensor, "*n"], order: int) -> list[Float[Tensor, "*n"]]:
    """Weights of the order + 1 neighbours of a point that lies `fraction` beyond a pixel, by de Boor's recursion."""
    weights = [torch.ones_like(fraction)]
    for n in range(1, order + 1):
        padded = [torch.zeros_like(fraction), *weights, torch.zeros_like(fraction)]
        weights = [((fraction + j) * padded[j + 1] + (n + 1 - fraction - j) * padded[j]) / n for j in range(n + 1)]
    return weights[::-1]


@lru_cache(maxsize=64)
def _prefilter(size: int, order: int) -> Float[np.ndarray, "n n"]:
    """Inverse of the matrix that samples a mirrored spline at the pixels."""
    collocation = np.zeros((size, size))
    period = max(2 * (size - 1), 1)
    for offset in range(-(order // 2), order // 2 + 1):
        index = (np.arange(size) + offset) % period
        index = np.where(index < size, index, period - index)
        collocation[np.arange(size), index] += _SAMPLES[order][abs(offset)]
    return np.linalg.inv(collocation)
