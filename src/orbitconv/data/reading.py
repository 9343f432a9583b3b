"""One picture file, of whatever mode and depth, as numbers from 0 to 1."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from orbitconv._support.optional import import_optional
from orbitconv.data.errors import DataError

_LARGEST_16_BIT = 2**16 - 1


@contextmanager
def open_picture(path: Path) -> Iterator[Any]:
    """Open a picture file, and explain what is wrong with it if it cannot be read.

    Args:
        path: Picture file.

    Yields:
        Pillow's picture, to be read while the context lasts.

    Raises:
        DataError: If the file is no picture, is damaged, or has more pixels than Pillow lets in.
    """
    image_module = import_optional("PIL.Image", "train", "orbitconv.data")
    try:
        with warnings.catch_warnings():
            # Large pictures, up to twice Pillow's limit, are no reason to stop.
            warnings.simplefilter("ignore", image_module.DecompressionBombWarning)
            with image_module.open(path) as opened:
                yield opened
    except image_module.DecompressionBombError as error:
        raise DataError(
            f"{path} has too many pixels to be opened safely ({error}). Make it smaller or cut it into parts, or "
            "remove it; in Python, PIL.Image.MAX_IMAGE_PIXELS = None lifts the limit for files you trust."
        ) from error
    except DataError:
        raise
    except (OSError, ValueError, SyntaxError) as error:  # Pillow reports some damaged files as errors of syntax
        raise DataError(f"{path} cannot be read as a picture ({error}). Remove or repair it.") from error


def is_deep(picture: Any) -> bool:
    """Whether the pixels of a picture are more than bytes.

    Args:
        picture: Pillow's picture.

    Returns:
        True for integers of 16 and 32 bits and for floats.
    """
    return picture.mode in {"I", "F"} or picture.mode.startswith("I;16")


def deep_numbers(picture: Any, path: Path) -> Float[np.ndarray, "h w"]:
    """The pixels of a deep picture, all of which are grey.

    Args:
        picture: Pillow's picture.
        path: Its file, for the error.

    Returns:
        Numbers from 0 to 1: 16-bit ones divided by 65535; integers of 32 bits too if they all could be such; otherwise,
        as for all floats, scaled so that the smallest of the picture is 0 and its largest 1.

    Raises:
        DataError: If a pixel is NaN or infinite.
    """
    numbers = np.asarray(picture).astype(np.float64)
    bad = int((~np.isfinite(numbers)).sum())
    if bad:
        raise DataError(
            f"{path} holds {bad} NaN or infinite pixels among {numbers.size}, expected finite ones. Fill them in, or "
            "remove the picture."
        )
    least, most = float(numbers.min()), float(numbers.max())
    if picture.mode != "F" and least >= 0 and most <= _LARGEST_16_BIT:
        least, most = 0, _LARGEST_16_BIT
    return ((numbers - least) / ((most - least) or 1)).astype(np.float32)


def read_picture(path: Path, channels: Literal[1, 3]) -> Float[Tensor, "c h w"]:
    """Read a picture as a person sees it: upright as its camera says, and on white where it is transparent.

    Args:
        path: Picture file.
        channels: 1 for luminance (Rec. 601), 3 for red, green and blue.

    Returns:
        Numbers from 0 to 1.

    Raises:
        ValueError: If neither one nor three channels are wanted.
    """
    if channels not in {1, 3}:
        raise ValueError(f"read_picture expects one channel or three, got {channels}.")
    operations = import_optional("PIL.ImageOps", "train", "orbitconv.data")
    with open_picture(path) as opened:
        picture = operations.exif_transpose(opened)
        if is_deep(picture):
            grey = torch.from_numpy(deep_numbers(picture, path))
            return grey.expand(channels, -1, -1).contiguous()
        pixels = np.asarray(_on_white(picture).convert("L" if channels == 1 else "RGB"), dtype=np.float32)
    return torch.from_numpy(pixels / 255).reshape(*pixels.shape[:2], channels).permute(2, 0, 1).contiguous()


def _on_white(picture: Any) -> Any:
    """A picture without transparency."""
    if picture.mode not in {"RGBA", "LA", "PA", "RGBa", "La"} and "transparency" not in picture.info:
        return picture
    image_module = import_optional("PIL.Image", "train", "orbitconv.data")
    white = image_module.new("RGBA", picture.size, "white")
    return image_module.alpha_composite(white, picture.convert("RGBA"))
