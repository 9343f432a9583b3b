"""Images to learn a transformation from: whole ones or windows, grey or in colour, shifted at random."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from orbitconv._support.optional import import_optional
from orbitconv._support.progress import ProgressCallback, silent
from orbitconv.data import SOURCES, DataError, ImageSet, load, pictures_in
from studies.actions.pixels import pick

TILE = 32
"""Side of the tiles that pictures are cut into by default, in pixels."""

# Pictures are made so many times smaller first, where they have room.
_SHRINK = 2


def action_images(
    data: str, counts: tuple[int, int], *, color: bool = False, tile: int = TILE, seed: int = 0,
    data_dir: Path | None = None, progress: ProgressCallback = silent,
) -> tuple[Float[Tensor, "n c h w"], Float[Tensor, "m c h w"]]:  # fmt: skip
    """Images to learn from, and others to measure errors on."""
    if data not in SOURCES:
        if not Path(data).is_dir():
            raise DataError(f"--data expects {', '.join(SOURCES)} or a folder of pictures, got {data!r}, neither.")
        tiles = _tiles(Path(data), sum(counts), tile, color=color, seed=seed, progress=progress)
        return tiles[: counts[0]], tiles[counts[0] :]
    sets = (load(data, split, data_dir=data_dir, progress=progress) for split in ("train", "test"))
    first, second = (_floats(own, n, seed, color=color) for own, n in zip(sets, counts, strict=True))
    return first, second


def windows(images: Float[Tensor, "n c h w"], side: int, random: torch.Generator) -> Float[Tensor, "n c s s"]:
    """Cut a window out of each image, at a random place."""
    height, width = images.shape[-2:]
    if side > min(height, width):
        raise ValueError(f"--patch expects at most {min(height, width)}, the side of the images, got {side}.")
    starts = [torch.randint(0, size - side + 1, (len(images), 1), generator=random) for size in (height, width)]
    rows, cols = (start + torch.arange(side) for start in starts)
    return pick(images, rows, cols)


def shift_randomly(images: Float[Tensor, "n c h w"], random: torch.Generator) -> Float[Tensor, "n c h w"]:
    """Shift each image cyclically by a random number of rows and columns, so that every pixel is excited."""
    rows, cols = (
        (torch.randint(0, size, (len(images), 1), generator=random) + torch.arange(size)) % size
        for size in images.shape[-2:]
    )
    return pick(images, rows, cols)


def _floats(images: ImageSet, n: int, seed: int, *, color: bool) -> Tensor:
    """Some images of a set as numbers."""
    if color and images.images.shape[1] != 3:
        raise ValueError(
            f"{images.name} is grey; a transformation of colours needs --data cifar10 or coloured pictures."
        )
    chosen = images.take(n, seed=seed)
    return chosen.floats(torch.float64) if color else chosen.grey(torch.float64)


def _tiles(folder: Path, n: int, side: int, *, color: bool, seed: int, progress: ProgressCallback) -> Tensor:
    """Tiles of pictures that come in random order, until there are enough."""
    files = pictures_in(folder)
    order = np.random.default_rng(seed).permutation(len(files))
    batches, count = [], 0
    for done, index in enumerate(order, start=1):
        batches.extend(_cut(files[index], side, color=color))
        count = sum(map(len, batches))
        progress("read pictures", done, len(files))
        if count >= n:
            return torch.cat(batches)[:n]
    raise DataError(
        f"{folder} has room for {count} tiles of {side}x{side} pixels, fewer than the {n} of --pairs and --held-out. "
        "Ask for fewer, add pictures, or learn on a smaller --patch."
    )


def _cut(path: Path, side: int, *, color: bool) -> Iterator[Float[Tensor, "n c s s"]]:
    """The tiles of one picture, if it has room for any."""
    image_module = import_optional("PIL.Image", "train", "python -m studies learn-action")
    try:
        with image_module.open(path) as opened:
            picture = opened.convert("RGB" if color else "L")
    except (OSError, ValueError) as error:
        raise DataError(f"{path} cannot be read as a picture ({error}). Remove or repair it.") from error
    factor = min(_SHRINK, max(1, min(picture.size) // side))
    size = (picture.width // factor, picture.height // factor)
    picture = picture.resize(size, image_module.Resampling.LANCZOS) if factor > 1 else picture
    pixels = torch.from_numpy(np.asarray(picture, dtype=np.float64) / 255).reshape(size[1], size[0], -1)
    rows, cols = (length // side for length in pixels.shape[:2])
    if rows * cols:
        cut = pixels[: rows * side, : cols * side].permute(2, 0, 1).unfold(1, side, side).unfold(2, side, side)
        yield cut.flatten(1, 2).transpose(0, 1)
