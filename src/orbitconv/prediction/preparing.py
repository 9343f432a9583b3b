"""Picture files as a network was trained on: as many channels, of the same size."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import final

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from orbitconv._support.checks import check_share
from orbitconv._support.files import printable
from orbitconv.data import DataError, Scaling, pictures_in
from orbitconv.data.channels import with_channels
from orbitconv.data.folders.picture_dataset import fitted
from orbitconv.data.formats import Opened, Pages, open_picture, read, regions
from orbitconv.data.formats.picture import as_asked
from orbitconv.data.reading import read_picture
from orbitconv.train.networks import TrainedNetwork

_SHOWN = 5
_LARGE = 1 << 24
"""Pixels up to which a picture is read at once to be resized."""
_BLOCK_ROWS = 16
"""Rows of blocks that are read at a time of a larger one."""


@dataclass(frozen=True, kw_only=True)
class ImageForm:
    """The shape in pixels, None for that of each picture, and the range of the images that a network takes.

    Pictures are inverted where ink on paper meets a network that knows light strokes on black. Without a scaling each
    picture becomes 0 to 1 by its type.
    """

    channels: int
    height: int | None
    width: int | None
    invert: bool = False
    scaling: Scaling | None = None
    pages: Pages = "pictures"


@final
class Unreadable:
    """Pictures that cannot be read, with reasons; a larger share than `most` is an error, but one is always allowed."""

    def __init__(self, most: float) -> None:
        check_share("predict", max_unreadable=most)
        self._most = most
        self.reasons: dict[Path, str] = {}
        """Why each picture cannot be read."""

    def add(self, path: Path, error: Exception) -> None:
        """Record a picture that cannot be read."""
        self.reasons[path] = printable(error)

    def check(self, total: int) -> None:
        """Check that not too many pictures are unreadable."""
        count = len(self.reasons)
        if count and (count == total or count > max(1, self._most * total)):
            lines = "\n".join(f"  - {reason}" for reason in list(self.reasons.values())[:_SHOWN])
            more = f"\n  ... and {count - _SHOWN} more" if count > _SHOWN else ""
            raise DataError(
                f"predict cannot use {count} of {total} pictures, more than max_unreadable={self._most:g} lets pass:\n"
                f"{lines}{more}"
            )


def pages_for(trained: TrainedNetwork, asked: Pages) -> Pages:
    """Whether pages of a stack are pictures or channels for a network."""
    return asked or trained.config.pictures.pages or "pictures"


def header_of(path: Path, pages: Pages) -> Opened:
    """Read the header of a picture file, without pixels."""
    with open_picture(path) as opened:
        return as_asked(opened, path, pages)


def digest_of(network: nn.Module) -> str:
    """Checksum of the weights of a network, as 16 hexadecimal digits."""
    digest = hashlib.sha256()
    for name, tensor in network.state_dict().items():
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()[:16]


def find_pictures(paths: Iterable[Path]) -> list[Path]:
    """List picture files, and those in folders, which are sorted by name."""
    found = []
    for path in paths:
        if not path.exists():
            raise FileNotFoundError(f"{path} is not there; name picture files, or folders that hold some.")
        found.extend(pictures_in(path) if path.is_dir() else [path])
    if not found:
        raise ValueError("predict expects one picture or folder of pictures, or more, got none.")
    return found


def prepare(path: Path, form: ImageForm, page: int = 0) -> tuple[Float[Tensor, "c h w"], tuple[int, int]]:
    """Read a page of a picture as an image that a network takes, and its height and width in the file, in pixels."""
    if form.scaling is not None:
        large = _shrunk(path, form, form.scaling, page)
        if large is not None:
            return 1 - large[0] if form.invert else large[0], large[1]
        picture = with_channels(read(path, pages=form.pages, page=page), form.channels, path)
        image, resize = form.scaling.floats(picture), fitted
    else:
        if form.channels not in {1, 3}:
            raise ValueError(f"Pictures have one channel or three; this network takes images of {form.channels}.")
        image, resize = read_picture(path, 3 if form.channels == 3 else 1, pages=form.pages, page=page), fit
    size = (image.shape[1], image.shape[2])
    if form.height is not None and form.width is not None:
        image = resize(image, (form.height, form.width))
    return 1 - image if form.invert else image, size


def _shrunk(
    path: Path, form: ImageForm, scaling: Scaling, page: int
) -> tuple[Float[Tensor, "c h w"], tuple[int, int]] | None:
    """Shrink a large picture by means over blocks of pixels, some rows at a time; None for all other pictures.

    The blocks are an eighth of a pixel of the result or less, so that less than
    that is lost at the borders.
    """
    if form.height is None or form.width is None or scaling.rule == "file":
        return None
    with regions(path, pages=form.pages, page=page) as read_region:
        head = header_of(path, form.pages)
        factor = min(head.height // form.height, head.width // form.width) // 8
        if head.height * head.width <= _LARGE or factor < 2:
            return None
        (top, rows), (left, columns) = (
            (length % factor // 2, length - length % factor) for length in (head.height, head.width)
        )
        blocks = []
        for start in range(top, top + rows, factor * _BLOCK_ROWS):
            stop = min(start + factor * _BLOCK_ROWS, top + rows)
            part = (slice(start, stop), slice(left, left + columns))
            numbers = scaling.floats(with_channels(read_region(part), form.channels, path))
            blocks.append(F.avg_pool2d(numbers, factor))
    return fitted(torch.cat(blocks, 1), (form.height, form.width)), (head.height, head.width)


def fit(picture: Float[Tensor, "c h w"], size: tuple[int, int]) -> Float[Tensor, "c h2 w2"]:
    """Crop and resize as `fitted` does, and clamp to 0 and 1."""
    return fitted(picture, size).clamp(0, 1)
