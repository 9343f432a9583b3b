"""One picture file as a viewer shows it: grey or coloured, from 0 to 1."""

from pathlib import Path
from typing import Literal

from jaxtyping import Float
from torch import Tensor

from orbitconv.data.channels import with_channels
from orbitconv.data.formats import Pages, Picture, read
from orbitconv.data.scaling import Scaling


def read_picture(path: Path, channels: Literal[1, 3], *, pages: Pages = None, page: int = 0) -> Float[Tensor, "c h w"]:
    """Read a picture as a viewer shows it: upright by its orientation tag, transparency on white; from 0 to 1.

    One channel is luminance (Rec. 601). Without data there is 0. Where nothing is known of other pictures: see
    `scaling_of_one`.
    """
    if channels not in {1, 3}:
        raise ValueError(f"read_picture expects one channel or three, got {channels}.")
    picture = with_channels(read(path, pages=pages, page=page), channels, path)
    return scaling_of_one(picture).floats(picture)


def scaling_of_one(picture: Picture) -> Scaling:
    """The scaling of a single picture without others to compare.

    The range of the type for integers of up to 16 bits and for booleans; for wider integers and floats the smallest and
    the largest number of the picture.
    """
    channels = len(picture.pixels)
    if picture.pixels.dtype.kind in "iub" and picture.pixels.dtype.itemsize <= 2:
        return Scaling.by_type(picture.kind, picture.limits, channels)
    return Scaling.by_file(picture.kind, channels)
