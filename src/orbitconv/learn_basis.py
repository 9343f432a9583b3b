"""Learn one basis from a data set or a folder of pictures, and write it as one file."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from jaxtyping import Float
from torch import Tensor

from orbitconv._support.checks import check_positive
from orbitconv._support.files import check_replaceable
from orbitconv._support.progress import ProgressCallback, silent
from orbitconv.bases import FixedBasis, HarmonicBasis, SpectralBasis, UnitaryBasis, available_dimensions, save_basis
from orbitconv.data import DataError, grey_tiles, load, pictures_in
from orbitconv.data.folders.layout import files_below
from orbitconv.data.formats import SUFFIXES
from orbitconv.data.skipped import Skipped
from orbitconv.groups import parse_group
from orbitconv.learn import Moments, measure_moments
from orbitconv.learn.moments import has_room, room_for
from orbitconv.metrics import basis_equivariance_error

# How much to learn from by default: about as many patches of tiles as of the images of a data set.
_IMAGES, _TILES = 10_000, 2_000
# Moments are measured fastest of many tiles at once, as they share the samples of a turn.
_TILES_AT_ONCE = 64


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
    """Keep this many atoms. By default the file holds all, and recommends how many spectral ones layers take."""
    max_error: float | None = None
    """Keep the atoms that turn with no more than this relative error (spectral only)."""
    max_frequency: int | None = None
    """Highest angular frequency of an atom (spectral only); below N/2 where images turn by any angle."""
    images: Path | None = None
    """Folder of pictures to learn from, cut into tiles; by default CIFAR-10's training images."""
    tile_size: int = 96
    """Side of the tiles of pictures, in pixels; smaller pictures are left out."""
    max_images: int | None = None
    """Images or tiles to learn from at most; by default 10,000 images of CIFAR-10, or 2,000 tiles of pictures."""
    seed: int = 0
    """Seed of the order in which pictures are looked at, one folder after the other."""
    whiten: bool = False
    """Let all spatial frequencies count alike."""
    overwrite: bool = False
    """Replace a file that is there."""
    data_dir: Path | None = None
    """Folder with the data sets; by default ORBITCONV_DATA, then the user's cache, then a download."""

    def __post_init__(self) -> None:
        check_positive("learn-basis", kernel_size=self.kernel_size, tile_size=self.tile_size)
        if self.max_images is not None:
            check_positive("learn-basis", max_images=self.max_images)
        if self.seed < 0:
            raise ValueError(f"learn-basis expects --seed of zero or more, got {self.seed}.")
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


def learn_basis(
    config: LearnBasis, progress: ProgressCallback = silent, skipped: Skipped | None = None
) -> dict[str, Any]:
    """Learn a basis and write it.

    Returns:
        What the file says about the basis. Layers take the first `recommended_dimension` atoms unless asked otherwise,
        and `equivariance_error` is the error of those.

    Raises:
        FileExistsError: If the file is there and may not be replaced.
        OSError: If there is a folder in its place, or its folder cannot be made or written.
        ValueError: If there are too few images, or they are too small or constant; if no basis has the dimension or
            meets the error budget.
    """
    check_replaceable(config.out, overwrite=config.overwrite)
    group = parse_group(config.group)
    start = time.perf_counter()
    skipped = Skipped() if skipped is None else skipped
    images = grey_images(
        config.images, config.max_images, config.kernel_size, config.data_dir, progress, tile_size=config.tile_size,
        seed=config.seed, skipped=skipped,
    )  # fmt: skip
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
    if config.images:
        facts |= {
            "tile_size": config.tile_size,
            "pictures": skipped.total,
            "pictures_left_out": len(skipped),
        }
    save_basis(basis, config.out, **facts)
    return facts | {"num_atoms": basis.num_atoms}


def fit(
    family: str,
    moments: Moments,
    held_out: Moments | None = None,
    *,
    dimension: int | None = None,
    max_error: float | None = None,
    max_frequency: int | None = None,
) -> tuple[FixedBasis, dict[str, Any]]:
    """Fit a "spectral" or "unitary" basis with the requested number of atoms, or all possible ones, best first.

    Also returns what a file should say about it, with the error on the held-out moments, if there are some. Limits of
    error and angular frequency are those of an atom of a spectral basis.
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
    usual = HarmonicBasis(group, side).num_atoms
    recommended = min(dimensions, key=lambda d: abs(d - usual))
    cut = SpectralBasis(group, side, moments, dimension=recommended, max_frequency=max_frequency)
    return spectral, _spectral_facts(spectral, cut, judge)


def grey_images(
    pictures: Path | None,
    max_images: int | None,
    kernel_size: int,
    data_dir: Path | None = None,
    progress: ProgressCallback = silent,
    *,
    tile_size: int = 96,
    seed: int = 0,
    skipped: Skipped | None = None,
) -> Iterator[Float[Tensor, "b 1 h w"]]:
    """Grey images from 0 to 1 to learn from, in batches: tiles of a folder of pictures, or CIFAR-10's training images.

    There are 10,000 images or 2,000 tiles at most unless `max_images` says otherwise. The kernel shall have room in
    them at every angle. Pictures are shuffled in every folder, and folders take turns. `skipped` gets the pictures that
    cannot be read, are hidden or too small, and the count of all.
    """
    skipped = Skipped() if skipped is None else skipped
    if pictures is not None:
        limit = _TILES if max_images is None else max_images
        batches = _regrouped(_tiles(pictures, tile_size, seed, skipped), limit)
    else:
        limit = _IMAGES if max_images is None else max_images
        train = load("cifar10", "train", data_dir=data_dir, progress=progress)
        batches = iter(train.take(min(limit, len(train))).grey().split(1000))
    count = 0
    for batch in batches:
        if not has_room(batch.shape[-2], batch.shape[-1], (kernel_size, kernel_size)):
            advice = "Choose a smaller --kernel-size" + (" or a larger --tile-size." if pictures is not None else ".")
            raise ValueError(
                f"A kernel of {kernel_size}x{kernel_size} needs images of {room_for((kernel_size, kernel_size))} to "
                f"turn in, got images of {batch.shape[-2]}x{batch.shape[-1]}. {advice}"
            )
        taken = batch[: limit - count]
        count += len(taken)
        yield taken
        progress("look at images", count, limit)
        if count >= limit:
            return


def _tiles(folder: Path, tile_size: int, seed: int, skipped: Skipped) -> Iterator[Float[Tensor, "b 1 s s"]]:
    """Tiles of the pictures of a folder, from all of its folders."""
    found = pictures_in(folder, seed=seed)
    for path in files_below(folder):
        if path.name.startswith(".") and path.suffix.lower() in SUFFIXES:
            skipped.total += 1
            skipped.add(path, "hidden")
    try:
        yield from grey_tiles(found, side=tile_size, tiles_per_batch=_TILES_AT_ONCE, skipped=skipped)
    except DataError as error:
        raise DataError(str(error).replace("side=", "--tile-size ")) from error


def _regrouped(batches: Iterator[Float[Tensor, "b 1 s s"]], limit: int) -> Iterator[Float[Tensor, "b 1 s s"]]:
    """The first tiles in batches of one size, however few a picture gives; no picture is read beyond the limit."""
    held: list[Float[Tensor, "b 1 s s"]] = []
    for batch in batches:
        held.append(batch[:limit])
        limit -= len(held[-1])
        if not limit:
            break
        if sum(map(len, held)) >= _TILES_AT_ONCE:
            together = torch.cat(held)
            yield together[:_TILES_AT_ONCE]
            held = [together[_TILES_AT_ONCE:]]
    if held:
        yield from (part for part in torch.cat(held).split(_TILES_AT_ONCE) if len(part))


def _spectral_facts(basis: SpectralBasis, recommended: SpectralBasis, judge: Moments) -> dict[str, Any]:
    """What a file should say about a spectral basis and the part of it to use."""
    return {
        "errors": basis.errors,
        "frequencies": basis.frequencies,
        "recommended_dimension": recommended.num_atoms,
        "equivariance_error": float(basis_equivariance_error(recommended, judge).max()),
    }
