"""Pictures of any size, as a stream of grey tiles: what a basis can be learned from and tested on."""

import importlib.util
import math
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from orbitconv._support.checks import check_positive
from orbitconv._support.optional import import_optional
from orbitconv.data.errors import DataError
from orbitconv.data.reading import deep_numbers, is_deep, open_picture

SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".webp", ".gif"})
# Pictures that scikit-image carries in its wheel.
_SAMPLES = {
    "photographs": ("astronaut.png", "camera.png", "chelsea.png", "coffee.png", "motorcycle_left.png", "rocket.jpg"),
    "textures": ("brick.png", "grass.png", "gravel.png"),
}


def pictures_in(folder: Path | str) -> list[Path]:
    """Picture files of a folder and the folders below it, sorted by name.

    Args:
        folder: Folder to look in.

    Returns:
        Files with the suffix of a picture; at least one.

    Raises:
        DataError: If there is no such folder, or no picture in it.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise DataError(f"{folder} is no folder; name one that holds pictures.")
    found = sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES and path.is_file())
    if not found:
        raise DataError(f"{folder} holds no pictures; expected files ending in {', '.join(sorted(SUFFIXES))}.")
    return found


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
        raise ModuleNotFoundError("The sample pictures come with scikit-image: pip install 'orbitconv[photos]'.")
    files = [Path(spec.origin).parent / "data" / name for name in _SAMPLES[kind]]
    missing = [path.name for path in files if not path.is_file()]
    if missing:
        raise DataError(f"This scikit-image does not carry {', '.join(missing)}; install version 0.24 or newer.")
    return files


def grey_tiles(
    pictures: Iterable[Path], *, side: int = 96, shrink: int = 2, low_pass: float = 0.5, tiles_per_batch: int = 64
) -> Iterator[Float[Tensor, "n 1 s s"]]:
    """Cut pictures into grey tiles, one picture in memory at a time.

    Bytes are divided by 255 and 16-bit numbers by 65535. Integers of 32 bits are taken for 16-bit numbers if they all
    could be, and otherwise, as all floats are, scaled so that the smallest of the picture is 0 and its largest 1.
    Pillow reads colours of 16 bits as bytes. Transparency is ignored.

    Args:
        pictures: Picture files.
        side: Side of a tile, in pixels of the shrunken picture.
        shrink: Make pictures this many times smaller first, anti-aliased, as the pixels of photographs are often not
            independent; pictures too small for one tile are shrunk less, down to not at all.
        low_pass: Width of a Gaussian that smooths the tiles slightly, in pixels of a tile, so that turning them shows
            what a basis does and not what interpolation does to noise; 0 for none.
        tiles_per_batch: Largest number of tiles yielded at once.

    Yields:
        Batches of tiles, from 0 to 1.

    Raises:
        DataError: If a file is no picture, has NaN or infinite pixels or more of them than Pillow lets in, or if no
            picture has room for a tile.
    """
    check_positive("grey_tiles", side=side, shrink=shrink, tiles_per_batch=tiles_per_batch)
    image_module = import_optional("PIL.Image", "train", "orbitconv.data")
    largest = (0, 0)
    for path in pictures:
        picture = _read_grey(path, image_module)
        largest = max(largest, picture.size, key=min)
        factor = min(shrink, max(1, min(picture.size) // side))
        size = (picture.width // factor, picture.height // factor)
        picture = picture.resize(size, image_module.Resampling.LANCZOS) if factor > 1 else picture
        pixels = np.asarray(picture, dtype=np.float32)
        pixels = pixels / 255 if picture.mode == "L" else pixels.clip(0, 1)  # shrinking may overshoot, but for bytes
        pixels = _smooth(torch.from_numpy(pixels), low_pass)
        rows, cols = (length // side for length in pixels.shape)
        if not rows * cols:
            continue
        tiles = (
            pixels[: rows * side, : cols * side].unfold(0, side, side).unfold(1, side, side).reshape(-1, 1, side, side)
        )
        yield from tiles.split(tiles_per_batch)
    if min(largest) < side:
        raise DataError(
            f"grey_tiles expects pictures of at least {side}x{side} pixels, got none larger than "
            f"{largest[0]}x{largest[1]}. Use larger pictures or smaller tiles."
        )


def _read_grey(path: Path, image_module: Any) -> Any:
    """A grey picture: of mode L, bytes, or of mode F, numbers from 0 to 1, if the file holds more than bytes."""
    with open_picture(path) as opened:
        return image_module.fromarray(deep_numbers(opened, path)) if is_deep(opened) else opened.convert("L")


def _smooth(picture: Float[Tensor, "h w"], sigma: float) -> Float[Tensor, "h w"]:
    """A picture after a Gaussian low-pass; borders are mirrored."""
    if sigma == 0:
        return picture
    reach = math.ceil(4 * sigma)
    weights = torch.exp(-torch.arange(-reach, reach + 1.0).square() / (2 * sigma**2))
    weights = weights / weights.sum()
    padded = F.pad(picture[None, None], (reach,) * 4, mode="reflect")
    return F.conv2d(F.conv2d(padded, weights[None, None, None]), weights[None, None, :, None])[0, 0]
