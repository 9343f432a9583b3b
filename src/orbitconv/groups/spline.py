"""Image rotation by B-spline interpolation of high order, as a plain differentiable torch function.

Source: Unser, Aldroubi & Eden (1993), B-spline signal processing; boundaries as in `scipy.ndimage`.
"""

import math
from functools import lru_cache
from typing import Literal

import numpy as np
import torch
from jaxtyping import Bool, Float, Int, Shaped
from torch import Tensor

from orbitconv._support.precision import at_least_float32, no_autocast
from orbitconv.groups.resampling import weighted_sums

PaddingMode = Literal["zeros", "reflect"]

# Values of the B-spline of each order at the integers, from its centre outwards.
_SAMPLES = {1: (1.0,), 3: (4 / 6, 1 / 6), 5: (66 / 120, 26 / 120, 1 / 120)}

# Images turned at once where each has an angle of its own.
_CHUNK = 256


def rotate_images(
    images: Shaped[Tensor, "b c h w"],
    angles: float | Float[Tensor, ""] | Float[Tensor, " b"],
    *,
    order: int = 3,
    padding_mode: PaddingMode = "zeros",
    fill: float = 0,
) -> Shaped[Tensor, "b c h w"]:
    """Rotate images about the centre of the array, counter-clockwise as displayed.

    Quarter turns of square images given as one number are exact permutations of the pixels. Coordinates and sums are
    float32 at least, whatever the dtype of the images, also inside `torch.autocast`.

    Args:
        images: Batch of images; floating point, or of any dtype with `order=0`.
        angles: One angle for all images, or one for each, in radians.
        order: Order of the spline: 1 (bilinear), 3 (cubic) or 5 (quintic); 0 takes the nearest pixel, for masks.
        padding_mode: What lies outside the image: `"zeros"`, or its mirror image (`"reflect"`).
        fill: Value outside the image where `padding_mode` is `"zeros"`, such as the ignored class of a mask.

    Returns:
        Rotated images of the same shape, device and dtype.

    Shapes:
        (batch, channels, height, width) -> (batch, channels, height, width)

    Raises:
        TypeError: If the images are not floating point and `order` is not 0.
        ValueError: If the rank, the number of angles, an angle, the order, the padding mode or the fill is not
            possible.
    """
    if images.ndim != 4:
        raise ValueError(f"rotate_images expects (batch, channels, height, width), got shape {tuple(images.shape)}.")
    if order != 0 and not images.is_floating_point():
        raise TypeError(
            f"rotate_images expects floating-point images for splines, got {images.dtype}. Convert pictures to floats; "
            "masks of classes turn with order=0, the nearest pixel."
        )
    if order != 0:
        _check_order(order)
    _check_padding_mode(padding_mode)
    _check_fill(fill, images.dtype)
    if isinstance(angles, Tensor) and angles.ndim > 0:
        if angles.shape != images.shape[:1]:
            raise ValueError(
                f"rotate_images expects one angle, or one for each of {images.shape[0]} images, "
                f"got angles of shape {tuple(angles.shape)}."
            )
        if order == 0 and not _are_finite(angles):  # splines give images of NaN, masks would get wrong classes
            raise ValueError("rotate_images expects finite angles in radians to turn masks by, got NaN or infinity.")
    else:
        known = _known_angle(angles)
        if known is not None:
            if not math.isfinite(known):
                raise ValueError(f"rotate_images expects finite angles in radians, got {known}.")
            quarters = known / (math.pi / 2)
            if quarters == round(quarters) and (round(quarters) % 2 == 0 or images.shape[-1] == images.shape[-2]):
                return torch.rot90(images, round(quarters), (-2, -1))
    if images.numel() == 0:
        return images.clone()
    with no_autocast():
        return _rotate(images, angles, order, padding_mode, fill)


def _known_angle(angle: float | Float[Tensor, ""]) -> float | None:
    """The value of an angle; None where it has a derivative, or cannot be read: inside `vmap`, on meta."""
    if isinstance(angle, Tensor) and (angle.requires_grad or angle.is_meta):
        return None
    try:
        return float(angle)
    except RuntimeError:
        return None


def _are_finite(angles: Float[Tensor, " b"]) -> bool:
    """Whether no angle is known to be NaN or infinite; values cannot be read inside `vmap` or on meta."""
    try:
        return angles.is_meta or bool(torch.isfinite(angles).all())
    except RuntimeError:
        return True


def _rotate(
    images: Shaped[Tensor, "b c h w"],
    angles: float | Float[Tensor, ""] | Float[Tensor, " b"],
    order: int,
    padding_mode: PaddingMode,
    fill: float,
) -> Shaped[Tensor, "b c h w"]:
    """Sample images where their turned pixels come from."""
    if isinstance(angles, Tensor) and angles.ndim and images.shape[0] > _CHUNK:  # all weights would not fit the caches
        chunks = zip(images.split(_CHUNK), angles.split(_CHUNK), strict=True)
        return torch.cat([_rotate(x, a, order, padding_mode, fill) for x, a in chunks])
    exact = torch.float64 if not images.is_floating_point() else at_least_float32(images.dtype)
    theta = torch.as_tensor(angles, dtype=exact, device=images.device).reshape(-1, 1)
    height, width = images.shape[-2:]
    rows = torch.arange(height, dtype=exact, device=images.device) - (height - 1) / 2
    cols = torch.arange(width, dtype=exact, device=images.device) - (width - 1) / 2
    rows, cols = (axis.flatten() for axis in torch.meshgrid(rows, cols, indexing="ij"))
    cos, sin = torch.cos(theta), torch.sin(theta)
    source_rows = cos * rows + sin * cols + (height - 1) / 2
    source_cols = cos * cols - sin * rows + (width - 1) / 2
    if order == 0:
        values = _nearest(images, source_rows, source_cols)
    else:
        coefficients = spline_coefficients(images.to(exact), order)
        values = sample_spline(coefficients, source_rows, source_cols, order, padding_mode)
    if padding_mode == "zeros" and (fill != 0 or order == 0):
        values = torch.where(_inside(source_rows, source_cols, height, width)[:, None], values, fill)
    return values.reshape(images.shape).to(images.dtype)


def _nearest(
    images: Shaped[Tensor, "b c h w"], rows: Float[Tensor, "a t"], cols: Float[Tensor, "a t"]
) -> Shaped[Tensor, "b c t"]:
    """The pixels next to the given points, mirrored at the border pixels."""
    height, width = images.shape[-2:]
    # Points half-way between two pixels go to one fixed side, whatever rounding has done to them.
    row, col = (_mirrored(torch.floor(at + 0.5 + 1e-5).long(), size) for at, size in ((rows, height), (cols, width)))
    index = (row * width + col)[:, None].expand(images.shape[0], images.shape[1], -1)
    return images.flatten(-2).gather(-1, index)


def _inside(rows: Float[Tensor, "a t"], cols: Float[Tensor, "a t"], height: int, width: int) -> Bool[Tensor, "a t"]:
    """Whether points lie within the outermost pixel centres; a rotation by 2 pi keeps the border despite rounding."""
    slack = 1e-6 * max(height, width)
    return (rows >= -slack) & (rows <= height - 1 + slack) & (cols >= -slack) & (cols <= width - 1 + slack)


def spline_coefficients(images: Float[Tensor, "*b h w"], order: int) -> Float[Tensor, "*b h w"]:
    """Coefficients of the spline of order 1, 3 or 5 that passes through every pixel, mirrored at the border pixels."""
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
    """Evaluate a spline between the pixels, at coordinates in pixels.

    A leading axis of 1 shares them between all images.

    `"zeros"` returns zero outside the outermost pixel centres, `"reflect"` mirrors there.
    """
    _check_padding_mode(padding_mode)
    height, width = coefficients.shape[-2:]
    row_index, row_weight = _taps(rows, height, order)
    col_index, col_weight = _taps(cols, width, order)
    if padding_mode == "zeros":
        inside = _inside(rows, cols, height, width)
        row_weight = [weight * inside for weight in row_weight]
    indices = [row * width + col for row in row_index for col in col_index]
    weights = [row * col for row in row_weight for col in col_weight]
    flat = coefficients.flatten(-2)
    if rows.shape[0] == 1:  # the same points in every image: one sparse product over pixels
        index, weight = torch.stack([i[0] for i in indices], -1), torch.stack([w[0] for w in weights], -1)
        return weighted_sums(flat.flatten(0, 1).T, index, weight).T.reshape(*flat.shape[:2], rows.shape[1])
    taps = (
        weight[:, None] * flat.gather(-1, index[:, None].expand(-1, flat.shape[1], -1))
        for index, weight in zip(indices, weights, strict=True)
    )
    return sum(taps, start=torch.zeros((), dtype=flat.dtype, device=flat.device))


def _check_order(order: int) -> None:
    if order not in _SAMPLES:
        raise ValueError(f"Spline interpolation has the orders {sorted(_SAMPLES)}, got {order}.")


def _check_fill(fill: float, dtype: torch.dtype) -> None:
    if dtype.is_floating_point:
        return
    low, high = (0, 1) if dtype == torch.bool else (torch.iinfo(dtype).min, torch.iinfo(dtype).max)
    if not (low <= fill <= high and fill == int(fill)):
        raise ValueError(f"rotate_images expects a fill that {dtype} holds, from {low} to {high}, got {fill}.")


def _check_padding_mode(padding_mode: str) -> None:
    if padding_mode not in {"zeros", "reflect"}:
        raise ValueError(f"padding_mode is 'zeros' or 'reflect', got {padding_mode!r}.")


def _taps(
    at: Float[Tensor, "a t"], size: int, order: int
) -> tuple[list[Int[Tensor, "a t"]], list[Float[Tensor, "a t"]]]:
    """Indices and weights of the order + 1 coefficients around each coordinate."""
    first = torch.floor(at) - (order - 1) // 2
    weights = _b_spline_samples(at - torch.floor(at), order)
    return [_mirrored(first.long() + offset, size) for offset in range(order + 1)], weights


def _mirrored(index: Int[Tensor, "*n"], size: int) -> Int[Tensor, "*n"]:
    """Indices beyond the border, reflected about the outermost pixel."""
    index = index.remainder(max(2 * (size - 1), 1))
    return torch.minimum(index, 2 * (size - 1) - index)


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
