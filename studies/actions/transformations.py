"""Transformations of images to learn from pairs: those built in, and any Python function of the user."""

import importlib
import math
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from operator import attrgetter
from pathlib import Path
from types import MappingProxyType
from typing import Any, cast

import torch
from jaxtyping import Float
from torch import Tensor

from orbitconv._support.checks import did_you_mean
from orbitconv.groups import rotate_images
from orbitconv.groups.spline import sample_spline, spline_coefficients
from studies.actions.pixels import shift

SCALE_STEP = 2**0.25
"""One scaling step: four of them double the size."""

HUE_STEP = math.radians(30)
"""One step around the circle of hues."""

# Largest difference that rounding may make, relative to the largest value.
_SAME = 1e-4


@dataclass(frozen=True, kw_only=True)
class Transformation:
    """A transformation of images."""

    name: str
    words: str
    function: Callable[[Tensor], Tensor]
    pre_shift: bool = False
    color: bool = False
    patch: int | None = None

    def __call__(self, images: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c h w"]:
        """Transform images, and refuse an invalid result."""
        try:
            moved = self.function(images.clone())
        except (Exception, SystemExit) as error:
            raise ValueError(
                f"{self.name} failed on a float tensor of shape {tuple(images.shape)} "
                f"({type(error).__name__}: {error}). It gets a batch (n, channels, height, width), not one image; "
                "torch.vmap turns a function of one image into one of a batch."
            ) from error
        if not isinstance(moved, Tensor):
            raise TypeError(f"{self.name} must return a tensor, got {type(moved).__name__}.")
        if moved.shape != images.shape:
            raise ValueError(
                f"{self.name} must return the shape that it gets, {tuple(images.shape)}, got {tuple(moved.shape)}. It "
                "gets a batch (n, channels, height, width) and transforms every image of it in the same way."
            )
        if moved.is_complex() or moved.dtype == torch.bool or not moved.isfinite().all():
            raise ValueError(f"{self.name} must return finite real numbers, got {moved.dtype}, NaN or infinity.")
        return moved.detach().to(images)

    def check(self, images: Float[Tensor, "n c h w"]) -> None:
        """Refuse a function that treats images of a batch differently."""
        together, alone = self(images), torch.cat([self(image[None]) for image in images])
        difference = float((together - alone).abs().max())
        if difference > _SAME * max(1.0, float(together.abs().max())):
            raise ValueError(
                f"{self.name} must transform every image of a batch (n, channels, height, width) in the same way, but "
                f"an image alone and in a batch differ by up to {difference:.3g}. Is it random, or written for one "
                "image (then dimensions are off by one: wrap it in torch.vmap)?"
            )


def scale_images(images: Float[Tensor, "n c h w"], factor: float = SCALE_STEP) -> Float[Tensor, "n c h w"]:
    """Enlarge images about the centre and divide by the factor, so that norms are kept: f(x / s) / s."""
    height, width = images.shape[-2:]
    rows, cols = (
        (torch.arange(size, dtype=images.dtype, device=images.device) - (size - 1) / 2) / factor + (size - 1) / 2
        for size in (height, width)
    )
    grid = torch.meshgrid(rows, cols, indexing="ij")
    row, col = (axis.reshape(1, -1) for axis in grid)
    values = sample_spline(spline_coefficients(images, 3), row, col, 3, "zeros")
    return values.reshape(images.shape) / factor


def rotate_hue(images: Float[Tensor, "n 3 h w"], angle: float = HUE_STEP) -> Float[Tensor, "n 3 h w"]:
    """Turn the colour of every pixel about the grey axis of the RGB cube; nothing is clipped."""
    if images.shape[1] != 3:
        raise ValueError(f"rotate_hue expects three channels, got {images.shape[1]}. Use images in colour.")
    axis = torch.tensor([[0.0, -1.0, 1.0], [1.0, 0.0, -1.0], [-1.0, 1.0, 0.0]], dtype=torch.float64) / math.sqrt(3)
    matrix = torch.linalg.matrix_exp(angle * axis).to(images)
    return torch.einsum("dc,nchw->ndhw", matrix, images)


_BUILT_IN = (
    Transformation(name="shift-x", words="shifted right by a pixel", function=lambda x: shift(x, 1), pre_shift=True),
    Transformation(name="shift-y", words="shifted down by a pixel", function=lambda x: shift(x, 0), pre_shift=True),
    Transformation(
        name="shift-x-zero", words="shifted right, zeros come in", function=lambda x: shift(x, 1, "zero"),
        pre_shift=True,
    ),
    Transformation(
        name="quarter-turn", words="turned by 90°", function=lambda x: torch.rot90(x, 1, (-2, -1)), pre_shift=True
    ),
    Transformation(name="eighth-turn", words="turned by 45°", function=lambda x: rotate_images(x, math.pi / 4)),
    Transformation(name="mirror", words="mirrored left to right", function=lambda x: x.flip(-1), pre_shift=True),
    Transformation(name="scale", words=f"enlarged {SCALE_STEP:.2f} times", function=scale_images),
    Transformation(name="hue", words="hue turned by 30°", function=rotate_hue, color=True, patch=1),
)  # fmt: skip

TRANSFORMATIONS: Mapping[str, Transformation] = MappingProxyType({one.name: one for one in _BUILT_IN})
"""The transformations that have a name."""


def find_transformation(name: str) -> Transformation:
    """A transformation by its name, or a function as module:function, of the current folder or the search path."""
    if name in TRANSFORMATIONS:
        return TRANSFORMATIONS[name]
    module, _, function = name.partition(":")
    if not module or not function:
        raise ValueError(
            f"--transform expects one of {', '.join(TRANSFORMATIONS)}, or a function of yours as module:function, got "
            f"{name!r}.{did_you_mean(name, TRANSFORMATIONS)}"
        )
    sys.path.insert(0, here := str(Path.cwd()))
    try:
        importlib.invalidate_caches()
        found = attrgetter(function)(importlib.import_module(module.removesuffix(".py")))
    except (Exception, SystemExit) as error:
        raise ValueError(f"--transform found no {name} in {here} or on Python's path: {error}.") from error
    finally:
        sys.path.remove(here)
    if not callable(found):
        raise TypeError(f"--transform expects a function, but {name} is of type {type(found).__name__}.")
    return Transformation(name=name, words=f"after {function}", function=cast("Any", found))
