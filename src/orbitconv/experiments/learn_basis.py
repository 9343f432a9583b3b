"""Learn one basis from a data set or a folder of pictures, and write it as one file."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from jaxtyping import Float
from torch import Tensor

from orbitconv.bases import FixedBasis, SpectralBasis, UnitaryBasis, available_dimensions, save_basis
from orbitconv.checks import check_positive
from orbitconv.data import grey_tiles, load, pictures_in
from orbitconv.groups import parse_group
from orbitconv.learn import Moments
from orbitconv.metrics import basis_equivariance_error
from orbitconv.progress import ProgressCallback, silent

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


def learn_basis(config: LearnBasis, progress: ProgressCallback = silent) -> dict[str, Any]:
    """Learn a basis and write it.

    Args:
        config: Settings.
        progress: Called as the work goes on.

    Returns:
        What the file says about the basis.

    Raises:
        FileExistsError: If the file is there and may not be replaced.
    """
    if config.out.exists() and not config.overwrite:
        raise FileExistsError(f"{config.out} exists already. Choose another --out, or replace it with --overwrite.")
    group = parse_group(config.group)
    start = time.perf_counter()
    moments = Moments(group, config.kernel_size, whiten=config.whiten)
    for batch in _stream(config, progress):
        moments.update(batch[: config.max_images - moments.num_images])
        progress("measure moments", moments.num_images, config.max_images)
        if moments.num_images >= config.max_images:
            break
    basis, facts = fit(config.family, moments)
    facts |= {
        "data": "pictures" if config.images else "CIFAR-10 training images",
        "images": moments.num_images,
        "whitened": config.whiten,
        "seconds": round(time.perf_counter() - start, 2),
    }
    save_basis(basis, config.out, **facts)
    return facts


def fit(family: str, moments: Moments, held_out: Moments | None = None) -> tuple[FixedBasis, dict[str, Any]]:
    """Fit a basis of as many atoms as there can be, best first.

    Args:
        family: "spectral" or "unitary".
        moments: Moments of the images.
        held_out: Moments of the images to state the error on; those of the fit by default.

    Returns:
        The basis, and what a file should say about it.
    """
    judge = moments if held_out is None else held_out
    group, side = moments.group, moments.kernel_size[0]
    if family == "unitary":
        unitary = UnitaryBasis(group, side, moments)
        return unitary, {"equivariance_error": float(basis_equivariance_error(unitary, judge).max())}
    dimensions = available_dimensions(group, side, moments)
    spectral = SpectralBasis(group, side, moments, dimension=dimensions[-1])
    recommended = min(dimensions, key=lambda d: abs(d - RECOMMENDED.get(side, side * side // 2)))
    cut = SpectralBasis(group, side, moments, dimension=recommended)
    return spectral, {
        "errors": spectral.errors,
        "frequencies": spectral.frequencies,
        "recommended_dimension": recommended,
        "equivariance_error": float(basis_equivariance_error(cut, judge).max()),
    }


def _stream(config: LearnBasis, progress: ProgressCallback) -> Iterator[Float[Tensor, "b 1 h w"]]:
    """Grey images in batches."""
    if config.images is not None:
        yield from grey_tiles(pictures_in(config.images))
        return
    train = load("cifar10", "train", data_dir=config.data_dir, progress=progress)
    yield from train.take(min(config.max_images, len(train))).grey().split(1000)
