"""Picture files as a network was trained on: as many channels, of the same size."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from orbitconv.data import Scaling, pictures_in
from orbitconv.data.channels import with_channels
from orbitconv.data.folders.picture_dataset import fitted
from orbitconv.data.formats import read
from orbitconv.data.reading import read_picture


@dataclass(frozen=True, kw_only=True)
class ImageForm:
    """What the images of a network look like.

    Args:
        channels: 1 for grey, 3 for red, green and blue.
        height: Height in pixels.
        width: Width in pixels.
        invert: Whether pictures are negatives of what the network was trained on, such as ink on paper.
        scaling: How numbers become floats; None for a range of 0 to 1 as a person sees it.
    """

    channels: int
    height: int
    width: int
    invert: bool = False
    scaling: Scaling | None = None


def find_pictures(paths: Iterable[Path]) -> list[Path]:
    """The files that a user named, and those in the folders that they named.

    Args:
        paths: Files, whatever their suffix, and folders.

    Returns:
        Files in the order they were named, those of a folder by name.

    Raises:
        FileNotFoundError: If one is neither a file nor a folder.
        ValueError: If there is none.
    """
    found = []
    for path in paths:
        if not path.exists():
            raise FileNotFoundError(f"{path} is not there; name picture files, or folders that hold some.")
        found.extend(pictures_in(path) if path.is_dir() else [path])
    if not found:
        raise ValueError("predict expects one picture or folder of pictures, or more, got none.")
    return found


def prepare(path: Path, form: ImageForm) -> tuple[Float[Tensor, "c h w"], tuple[int, int]]:
    """Read a picture and give it the form of a network's images.

    Args:
        path: Picture file.
        form: The form.

    Returns:
        Numbers from 0 to 1, and the height and width of the picture in its file.

    Raises:
        ValueError: If the network takes neither one channel nor three.
    """
    if form.scaling is not None:
        picture = form.scaling.floats(with_channels(read(path), form.channels, path))
        image = fitted(picture, (form.height, form.width))
    else:
        if form.channels not in {1, 3}:
            raise ValueError(f"Pictures have one channel or three; this network takes images of {form.channels}.")
        picture = read_picture(path, 3 if form.channels == 3 else 1)
        image = fit(picture, form.height, form.width)
    return 1 - image if form.invert else image, (picture.shape[1], picture.shape[2])


def fit(picture: Float[Tensor, "c h w"], height: int, width: int) -> Float[Tensor, "c h2 w2"]:
    """Cut the largest middle part of the wanted proportions out of a picture, and resize it.

    Args:
        picture: Numbers from 0 to 1.
        height: Wanted height in pixels.
        width: Wanted width in pixels.

    Returns:
        The part at the wanted size: as it is where that is its size already, else by bicubic interpolation, low-passed
        when it shrinks.
    """
    rows = min(picture.shape[1], max(1, round(picture.shape[2] * height / width)))
    cols = min(picture.shape[2], max(1, round(picture.shape[1] * width / height)))
    top, left = (picture.shape[1] - rows) // 2, (picture.shape[2] - cols) // 2
    part = picture[:, top : top + rows, left : left + cols]
    if (rows, cols) == (height, width):
        return part
    return F.interpolate(part[None], (height, width), mode="bicubic", antialias=True)[0].clamp(0, 1)
