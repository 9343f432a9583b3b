"""Learn one basis from a data set or a folder of pictures, and write it as one file."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from jaxtyping import Float
from torch import Tensor

from orbitconv._support.checks import check_positive
from orbitconv._support.files import check_replaceable, check_writable
from orbitconv._support.progress import ProgressCallback, silent
from orbitconv.bases import FixedBasis, SpectralBasis, UnitaryBasis, available_dimensions, save_basis
from orbitconv.data import grey_tiles, load, pictures_in
from orbitconv.groups import parse_group
from orbitconv.learn import Moments, measure_moments
from orbitconv.learn.moments import has_room, room_for
from orbitconv.metrics import basis_equivariance_error

# Dimension that a spectral basis is cut to unless asked otherwise: that of the circular harmonics of its size.
RECOMMENDED = {3: 6, 5: 11, 7: 18}


@dataclass(frozen=True, kw_only=True)
class LearnBasis:
    """Learn how filters turn from images, in closed form, and write the basis as one file."""

    out: Path
    """File to write, ending in .safetensors."""
    family: Literal["spectral", "unitary"] = "spectral"
    """spectral: the atoms that images turn best; unitary: complete and norm-preserving."""
    group: str = "c8"
    """Group: c8, d6, ..."""
    kernel_size: int = 3
    """Side of the kernel, in pixels."""
    dimension: int | None = None
    """Keep this many atoms; by default the file holds all, and says of spectral ones how many to use."""
    max_error: float | None = None
    """Keep the atoms that turn with no more than this relative error (spectral only)."""
    max_frequency: int | None = None
    """Highest angular frequency of an atom (spectral only); below N/2 where images turn by any angle."""
    images: Path | None = None
    """Folder of pictures of any size to learn from; by default CIFAR-10's training images."""
    max_images: int = 10_000
    """Images (tiles of 96 pixels, for pictures) to learn from at most."""
    whiten: bool = False
    """Let all spatial frequencies count alike."""
    overwrite: bool = False
    """Replace a file that is there."""
    data_dir: Path | None = None
    """Folder with the data sets; by default ORBITCONV_DATA, then the user's cache, then a download."""

    def __post_init__(self) -> None:
        check_positive("learn-basis", kernel_size=self.kernel_size, max_images=self.max_images)
        parse_group(self.group)
        if self.out.suffix != ".safetensors":
            raise ValueError(f"learn-basis expects --out to end in .safetensors, got {self.out}.")
        if self.dimension is not None:
            check_positive("learn-basis", dimension=self.dimension)
        if self.max_error is not None and not self.max_error > 0:
            raise ValueError(f"learn-basis expects --max-error above zero, got {self.max_error}.")
        if self.dimension is not None and self.max_error is not None:
            raise ValueError("learn-basis expects one of --dimension and --max-error, not both.")
        if self.max_frequency is not None and self.max_frequency < 0:
            raise ValueError(f"learn-basis expects --max-frequency of zero or more, got {self.max_frequency}.")
        if self.family != "spectral" and (self.max_frequency is not None or self.max_error is not None):
            raise ValueError(
                f"learn-basis knows --max-error and --max-frequency of spectral bases, got --family {self.family}. "
                "Drop them, or cut it with --dimension."
            )


def learn_basis(config: LearnBasis, progress: ProgressCallback = silent) -> dict[str, Any]:
    """Learn a basis and write it.

    Args:
        config: Settings.
        progress: Called as the work goes on.

    Returns:
        What the file says about the basis.

    Raises:
        FileExistsError: If the file is there and may not be replaced.
        OSError: If there is a folder in its place, or its folder cannot be made or written.
        ValueError: If there are too few images, or they are too small or constant; if no basis has the dimension or
            meets the error budget.
    """
    check_writable(config.out, "--out")
    check_replaceable(config.out, overwrite=config.overwrite)
    group = parse_group(config.group)
    start = time.perf_counter()
    images = grey_images(config.images, config.max_images, config.kernel_size, config.data_dir, progress)
    moments = measure_moments(images, group, config.kernel_size, whiten=config.whiten)
    basis, facts = fit(
        config.family, moments, dimension=config.dimension, max_error=config.max_error,
        max_frequency=config.max_frequency,
    )  # fmt: skip
    facts |= {
        "data": "pictures" if config.images else "CIFAR-10 training images",
        "images": moments.num_images,
        "whitened": config.whiten,
        "seconds": round(time.perf_counter() - start, 2),
    }
    save_basis(basis, config.out, **facts)
    return facts


def fit(
    family: str,
    moments: Moments,
    held_out: Moments | None = None,
    *,
    dimension: int | None = None,
    max_error: float | None = None,
    max_frequency: int | None = None,
) -> tuple[FixedBasis, dict[str, Any]]:
    """Fit a basis of as many atoms as there can be, best first, or as are asked for.

    Args:
        family: "spectral" or "unitary".
        moments: Moments of the images.
        held_out: Moments of the images to state the error on; those of the fit by default.
        dimension: Number of atoms.
        max_error: Largest relative equivariance error of an atom of a spectral basis.
        max_frequency: Highest angular frequency of an atom of a spectral basis.

    Returns:
        The basis, and what a file should say about it.
    """
    judge = moments if held_out is None else held_out
    group, side = moments.group, moments.kernel_size[0]
    if family == "unitary":
        unitary = UnitaryBasis(group, side, moments, dimension=dimension)
        return unitary, {"equivariance_error": float(basis_equivariance_error(unitary, judge).max())}
    if dimension is not None or max_error is not None:
        asked = SpectralBasis(
            group, side, moments, dimension=dimension, max_error=max_error, max_frequency=max_frequency
        )
        return asked, _spectral_facts(asked, asked, judge)
    dimensions = available_dimensions(group, side, moments, max_frequency=max_frequency)
    spectral = SpectralBasis(group, side, moments, dimension=dimensions[-1], max_frequency=max_frequency)
    recommended = min(dimensions, key=lambda d: abs(d - RECOMMENDED.get(side, side * side // 2)))
    cut = SpectralBasis(group, side, moments, dimension=recommended, max_frequency=max_frequency)
    return spectral, _spectral_facts(spectral, cut, judge)


def grey_images(
    pictures: Path | None,
    max_images: int,
    kernel_size: int,
    data_dir: Path | None = None,
    progress: ProgressCallback = silent,
) -> Iterator[Float[Tensor, "b 1 h w"]]:
    """Images to learn from, in batches.

    Args:
        pictures: Folder of pictures of any size, cut into tiles; CIFAR-10's training images if None.
        max_images: How many images or tiles at most.
        kernel_size: Side of the kernel that shall have room in them at every angle.
        data_dir: Folder with the data sets.
        progress: Called as the images go out.

    Yields:
        Grey images from 0 to 1.

    Raises:
        DataError: If there are no pictures, or none is large enough.
        ValueError: If the kernel is too large.
    """
    if pictures is not None:
        batches = grey_tiles(pictures_in(pictures))
    else:
        train = load("cifar10", "train", data_dir=data_dir, progress=progress)
        batches = iter(train.take(min(max_images, len(train))).grey().split(1000))
    count = 0
    for batch in batches:
        if not has_room(batch.shape[-2], batch.shape[-1], (kernel_size, kernel_size)):
            raise ValueError(
                f"A kernel of {kernel_size}x{kernel_size} needs images of {room_for((kernel_size, kernel_size))} to "
                f"turn in, got images of {batch.shape[-2]}x{batch.shape[-1]}. Choose a smaller --kernel-size."
            )
        taken = batch[: max_images - count]
        count += len(taken)
        yield taken
        progress("look at images", count, max_images)
        if count >= max_images:
            return


def _spectral_facts(basis: SpectralBasis, recommended: SpectralBasis, judge: Moments) -> dict[str, Any]:
    """What a file should say about a spectral basis and the part of it to use."""
    return {
        "errors": basis.errors,
        "frequencies": basis.frequencies,
        "recommended_dimension": recommended.num_atoms,
        "equivariance_error": float(basis_equivariance_error(recommended, judge).max()),
    }
