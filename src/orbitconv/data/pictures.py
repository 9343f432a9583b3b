"""Pictures of any size, as a stream of grey tiles: what a basis can be learned from and tested on."""

import importlib.util
import math
from collections.abc import Iterable, Iterator, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from orbitconv._support.checks import check_positive
from orbitconv._support.optional import import_optional, install_hint
from orbitconv.data.channels import with_channels
from orbitconv.data.errors import DamagedError, DataError, UnsupportedError
from orbitconv.data.folders.layout import pictures_below
from orbitconv.data.formats import SUFFIXES, Picture, read
from orbitconv.data.reading import scaling_of_one
from orbitconv.data.skipped import Skipped

# Pictures that scikit-image carries in its wheel.
_SAMPLES = {
    "photographs": ("astronaut.png", "camera.png", "chelsea.png", "coffee.png", "motorcycle_left.png", "rocket.jpg"),
    "textures": ("brick.png", "grass.png", "gravel.png"),
}


def pictures_in(folder: Path | str, *, seed: int | None = None) -> list[Path]:
    """Picture files of a folder and the folders below it; hidden files are left out.

    Args:
        folder: Folder to look in.
        seed: None sorts them by name; a seed shuffles them and takes turns between folders, so that the first ones are
            a sample of all folders.

    Returns:
        Files with the suffix of a picture; at least one.

    Raises:
        DataError: If there is no such folder, or no picture in it.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise DataError(f"{folder} is no folder; name one that holds pictures.")
    others: dict[str, list[str]] = {}
    found = [path for path in pictures_below(folder, folder, others) if path.is_file() or path.suffix == ".zarr"]
    if not found:
        hidden = len(others.get("hidden files", []))
        more = f" There are {hidden} hidden files." if hidden else ""
        raise DataError(f"{folder} holds no pictures; expected files ending in {', '.join(sorted(SUFFIXES))}.{more}")
    return found if seed is None else spread_over_folders(found, seed)


def spread_over_folders(pictures: Sequence[Path], seed: int) -> list[Path]:
    """Order pictures so that their folders take turns, each folder shuffled by the seed."""
    generator = np.random.default_rng(seed)
    by_folder: dict[Path, list[Path]] = {}
    for path in pictures:
        by_folder.setdefault(path.parent, []).append(path)
    shuffled = [[paths[i] for i in generator.permutation(len(paths))] for paths in by_folder.values()]
    rounds = zip_longest(*(shuffled[i] for i in generator.permutation(len(shuffled))))
    return [path for one in rounds for path in one if path is not None]


def sample_pictures(kind: Literal["photographs", "textures"] = "photographs") -> list[Path]:
    """Sample pictures that scikit-image carries: photographs of people, animals and objects, or surfaces seen close.

    Args:
        kind: `"photographs"` (six) or `"textures"` (three: brick, grass, gravel).

    Returns:
        Picture files.

    Raises:
        ModuleNotFoundError: If scikit-image is not installed.
        DataError: If it does not carry them.
    """
    spec = importlib.util.find_spec("skimage")
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(f"The sample pictures come with scikit-image: {install_hint('photos')}.")
    files = [Path(spec.origin).parent / "data" / name for name in _SAMPLES[kind]]
    missing = [path.name for path in files if not path.is_file()]
    if missing:
        raise DataError(f"This scikit-image does not carry {', '.join(missing)}; install version 0.24 or newer.")
    return files


def grey_tiles(
    pictures: Iterable[Path],
    *,
    side: int = 96,
    shrink: int = 2,
    low_pass: float = 0.5,
    tiles_per_batch: int = 64,
    skipped: Skipped | None = None,
) -> Iterator[Float[Tensor, "n 1 s s"]]:
    """Cut pictures into grey tiles, one picture in memory at a time.

    Numbers are scaled as `scaling_of_one` says: bytes are divided by 255, 16-bit numbers by 65535; floats and wider
    integers so that the smallest of the picture is 0 and its largest 1. Tiles with pixels that lack data are left out.

    Args:
        pictures: Picture files.
        side: Side of a tile, in pixels of the shrunken picture.
        shrink: Make pictures this many times smaller first, anti-aliased, as the pixels of photographs are often not
            independent; pictures too small for one tile are shrunk less, down to not at all.
        low_pass: Width of a Gaussian that smooths the tiles slightly, in pixels of a tile, so that turning them shows
            what a basis does and not what interpolation does to noise; 0 for none.
        tiles_per_batch: Largest number of tiles yielded at once.
        skipped: Gets the pictures that cannot be read and those too small for a tile, and the count of all. None
            refuses the former.

    Yields:
        Batches of tiles, from 0 to 1.

    Raises:
        DataError: If a file is no picture, has NaN or infinite pixels or more of them than Pillow lets in, and nothing
            takes note of it; if no picture gave a tile.
    """
    check_positive("grey_tiles", side=side, shrink=shrink, tiles_per_batch=tiles_per_batch)
    noted = Skipped() if skipped is None else skipped
    any_tile, largest = False, (0, 0)
    for path in pictures:
        noted.total += 1
        try:
            picture = with_channels(read(path), 1, path)
        except DataError as error:
            if skipped is None:
                raise
            noted.add(path, _reason(error))
            continue
        height, width = picture.pixels.shape[1:]
        largest = max(largest, (height, width), key=min)
        if min(height, width) < side:
            noted.add(path, f"smaller than {side}x{side} pixels")
            continue
        tiles = _tiles(picture, side, min(shrink, min(height, width) // side), low_pass)
        if not len(tiles):
            noted.add(path, "without a tile that has data everywhere")
            continue
        any_tile = True
        yield from tiles.split(tiles_per_batch)
    if not any_tile:
        smaller = f", or smaller tiles: side={min(largest)}" if 0 < min(largest) < side else ""
        raise DataError(
            f"grey_tiles expects pictures of at least {side}x{side} pixels, got none larger than "
            f"{largest[1]}x{largest[0]}. Use larger pictures{smaller}; {noted}."
        )


def _tiles(picture: Picture, side: int, factor: int, low_pass: float) -> Float[Tensor, "n 1 s s"]:
    """The tiles of one grey picture that have data everywhere."""
    image_module = import_optional("PIL.Image", "train", "orbitconv.data")
    numbers = picture.pixels[0] if picture.kind == "uint8" else scaling_of_one(picture).floats(picture)[0].numpy()
    size = (numbers.shape[1] // factor, numbers.shape[0] // factor)
    if factor > 1:
        numbers = np.asarray(image_module.fromarray(numbers).resize(size, image_module.Resampling.LANCZOS))
    pixels = numbers.astype(np.float32) / 255 if numbers.dtype == np.uint8 else numbers.clip(0, 1)  # LANCZOS overshoots
    tiles = _cut(_smooth(torch.from_numpy(pixels), low_pass), side)
    if picture.valid is None:
        return tiles
    reach = 3 * factor + factor * math.ceil(4 * low_pass)  # of LANCZOS and of the Gaussian
    missing = torch.from_numpy(~picture.valid)[None, None].float()
    missing = F.max_pool2d(missing, 2 * reach + 1, stride=1, padding=reach)
    missing = F.interpolate(missing, size[::-1], mode="nearest")[0, 0]
    return tiles[_cut(missing, side).amax((1, 2, 3)) == 0]


def _cut(pixels: Float[Tensor, "h w"], side: int) -> Float[Tensor, "n 1 s s"]:
    """Tiles side by side, from the upper left corner."""
    rows, cols = (length // side for length in pixels.shape)
    pixels = pixels[: rows * side, : cols * side]
    return pixels.unfold(0, side, side).unfold(1, side, side).reshape(-1, 1, side, side)


def _reason(error: DataError) -> str:
    """Why a picture cannot be used, in a few words."""
    kinds = ((DamagedError, "damaged"), (UnsupportedError, "of a kind that is not read"))
    return next((words for kind, words in kinds if isinstance(error, kind)), "that cannot be used")


def _smooth(picture: Float[Tensor, "h w"], sigma: float) -> Float[Tensor, "h w"]:
    """A picture after a Gaussian low-pass; borders are mirrored, however small it is."""
    if sigma == 0:
        return picture
    reach = math.ceil(4 * sigma)
    weights = torch.exp(-torch.arange(-reach, reach + 1.0).square() / (2 * sigma**2))
    weights = weights / weights.sum()
    padded = torch.from_numpy(np.pad(picture.numpy(), reach, mode="reflect"))[None, None]
    return F.conv2d(F.conv2d(padded, weights[None, None, None]), weights[None, None, :, None])[0, 0]
