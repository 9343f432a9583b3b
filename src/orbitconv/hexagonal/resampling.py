"""From square pixels to the hexagonal lattice and back, without aliasing.

The frequencies of a square grid of unit spacing fill a square of half-width pi, those of a hexagonal lattice of spacing
a a hexagon of half-width 2 pi / (sqrt(3) a). Both ways images are limited to the largest disc that fits both.
"""

import math
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from orbitconv._support.checks import check_positive
from orbitconv._support.precision import at_least_float32, without_autocast
from orbitconv.groups.spectra import filter_by_frequency
from orbitconv.groups.spline import PaddingMode, sample_spline, spline_coefficients
from orbitconv.hexagonal.grid import AXES, HexagonalGrid, Shape, grid_mask
from orbitconv.hexagonal.image import HexagonalImage
from orbitconv.hexagonal.spline import HexagonalSpline, extended

SAME_DENSITY = math.sqrt(2 / math.sqrt(3))
"""Spacing, in pixels, at which the lattice has as many points for an area as the pixel grid: 1.075."""

_PASS = 0.8
"""Share of the cut-off frequency up to which the low-pass changes nothing; a half cosine leads from there to zero."""

_MARGIN = 8
"""Rings of points that are added around a hexagon before its Fourier transform."""


def grid_for(
    height: int, width: int, *, radius: int | None = None, spacing: float | None = None, shape: Shape = "hexagon"
) -> HexagonalGrid:
    """The grid for images of a size in pixels.

    By default it has the smallest radius whose inner disc covers the disc inside the image, and as many points for an
    area as pixels; with a radius alone, the spacing that makes its disc that of the image.
    """
    reach = (min(height, width) - 1) / 2
    if radius is None:
        spacing = SAME_DENSITY if spacing is None else spacing
        radius = max(1, math.ceil(2 * reach / (math.sqrt(3) * spacing) - 1e-9)) if spacing > 0 else 1
    elif spacing is None and radius > 0:
        spacing = 2 * max(reach, 0.5) / (math.sqrt(3) * radius)
    return HexagonalGrid(radius, shape, 1.0 if spacing is None else spacing)


@without_autocast
def to_hexagonal(
    images: Float[Tensor, "b c h w"],
    grid: HexagonalGrid | None = None,
    *,
    padding_mode: PaddingMode = "zeros",
    **options: Any,
) -> HexagonalImage:
    """Resample square images to the hexagonal lattice about their centre: a low-pass, then a cubic spline.

    Args:
        images: Images.
        grid: The grid; by default that of `grid_for` the size of the images.
        padding_mode: What lies outside the image: `"zeros"`, or its mirror image (`"reflect"`).
        **options: `radius`, `spacing` and `shape` of a grid, as `grid_for` takes them, in place of `grid`.

    Returns:
        Images on the lattice.

    Raises:
        TypeError: If the images are not floating point, or there are both a grid and options.
        ValueError: If the rank or the grid is not possible.
    """
    if not isinstance(images, Tensor):
        raise TypeError(f"to_hexagonal expects a tensor of square images, got {type(images).__name__}.")
    if images.ndim != 4:
        raise ValueError(f"to_hexagonal expects (batch, channels, height, width), got shape {tuple(images.shape)}.")
    if not images.is_floating_point():
        raise TypeError(f"to_hexagonal expects floating-point images, got {images.dtype}. Divide them by 255 first.")
    if grid is not None and options:
        raise TypeError(f"to_hexagonal expects a grid or its {', '.join(options)}, got both.")
    height, width = images.shape[-2:]
    grid = grid_for(height, width, **options) if grid is None else grid
    rows, cols = torch.from_numpy(grid.positions).flatten(1).to(images.device, at_least_float32(images.dtype))
    if not images.numel():
        return HexagonalImage(images.new_zeros(*images.shape[:2], grid.side, grid.side), grid)
    smooth = low_pass_square(images.to(rows.dtype), cut_off(grid.spacing))
    at = rows[None] + (height - 1) / 2, cols[None] + (width - 1) / 2
    values = sample_spline(spline_coefficients(smooth, 3), *at, 3, padding_mode).unflatten(-1, (grid.side, grid.side))
    return HexagonalImage((values * grid_mask(grid.side, grid.shape, images.device)).to(images.dtype), grid)


@without_autocast
def to_square(image: HexagonalImage, height: int, width: int) -> Float[Tensor, "b c h w"]:
    """Resample an image on the hexagonal lattice to square pixels about its centre: a low-pass, then a cubic spline.

    Args:
        image: The image.
        height: Height of the result, in pixels of unit spacing.
        width: Its width.

    Returns:
        Images; zero at pixels outside the hexagon.

    Raises:
        TypeError: If it is no HexagonalImage.
        ValueError: If a side is below one.
    """
    if not isinstance(image, HexagonalImage):
        raise TypeError(f"to_square expects a HexagonalImage, got {type(image).__name__}.")
    check_positive("to_square", height=height, width=width)
    grid, planes = image.grid, image.planes()
    rows, cols = torch.meshgrid(
        torch.arange(height, dtype=torch.float64) - (height - 1) / 2,
        torch.arange(width, dtype=torch.float64) - (width - 1) / 2,
        indexing="ij",
    )
    points = torch.stack([cols, -rows] if grid.turned else [rows, cols]).flatten(1) / grid.spacing
    wide = planes.to(at_least_float32(planes.dtype)).flatten(0, 1)
    values = HexagonalSpline(low_pass_hexagonal(wide, cut_off(grid.spacing) * grid.spacing)).at(points)
    axial = torch.linalg.solve(torch.from_numpy(AXES), points)
    inside = torch.stack([*axial, axial.sum(0)]).abs().amax(0) <= grid.radius + 1e-9
    return (values * inside.to(values)).reshape(*planes.shape[:2], height, width).to(planes.dtype)


def cut_off(spacing: float) -> float:
    """The radius of the largest disc of frequencies that fits both lattices, in radians per pixel.

    The spacing of the hexagonal lattice is in pixels.
    """
    return min(math.pi, 2 * math.pi / (math.sqrt(3) * spacing))


def low_pass_square(images: Float[Tensor, "*b h w"], limit: float) -> Float[Tensor, "*b h w"]:
    """Limit square images to a disc of frequencies of a radius in radians per pixel; borders are mirrored."""
    return filter_by_frequency(images, lambda frequency: transfer(2 * math.pi * frequency / limit))


def low_pass_hexagonal(planes: Float[Tensor, "b i j"], limit: float) -> Float[Tensor, "b i j"]:
    """Limit axial arrays to a disc of frequencies in radians per spacing.

    The hexagon's outermost points are repeated.
    """
    radius = planes.shape[-1] // 2
    wide = extended(planes.flatten(-2), radius, _MARGIN)
    u = torch.fft.fftfreq(wide.shape[-1], dtype=torch.float64)
    axial = torch.stack(torch.meshgrid(u, u, indexing="ij")).flatten(1)
    back = torch.linalg.inv(torch.from_numpy(AXES)).T
    # A frequency of the array stands for all that are a period apart: the lowest of them.
    periods = torch.cartesian_prod(*2 * [torch.arange(-1.0, 2.0, dtype=torch.float64)]).T
    frequency = (back @ (axial[:, :, None] + periods[:, None]).flatten(1)).norm(dim=0).reshape(len(axial[0]), -1)
    gain = transfer(2 * math.pi * frequency.amin(1) / limit).reshape(wide.shape[-2:]).to(wide)
    smooth = torch.fft.ifft2(torch.fft.fft2(wide) * gain).real
    return smooth[..., _MARGIN:-_MARGIN, _MARGIN:-_MARGIN]


def transfer(share: Float[Tensor, "*n"]) -> Float[Tensor, "*n"]:
    """The low-pass at frequencies given in shares of the cut-off."""
    fall = ((share - _PASS) / (1 - _PASS)).clamp(0, 1)
    return (1 + torch.cos(math.pi * fall)) / 2
