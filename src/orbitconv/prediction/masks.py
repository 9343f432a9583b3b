"""Predict masks for pictures of any size; each is written as soon as it is done, and resuming skips it."""

import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Float, Shaped
from torch import Tensor

from orbitconv._support.appending import AppendedFile, whole_lines
from orbitconv._support.checks import check_positive
from orbitconv._support.devices import find_device
from orbitconv._support.files import check_writable, printable, write_atomically
from orbitconv._support.progress import ProgressCallback, silent
from orbitconv.data import DataError
from orbitconv.data.formats import Opened, Pages, regions
from orbitconv.data.tiles import Tiling, blended, least_side
from orbitconv.metrics.splitting import Splitting, objects_of
from orbitconv.prediction.mask_files import SUFFIX, MaskFormat, chosen_format, encoded
from orbitconv.prediction.overlay import overlay
from orbitconv.prediction.preparing import Unreadable, digest_of, find_pictures, header_of, pages_for
from orbitconv.prediction.reach import Reach, reach_of
from orbitconv.prediction.scaled_regions import ScaledRegions
from orbitconv.prediction.views import turned_answers
from orbitconv.train.networks import TrainedNetwork
from orbitconv.train.segmentation import Segmentation

TABLE = "masks.jsonl"
"""Name of the file with one line for each picture that is done."""
SETTINGS = "settings.json"
"""Name of the file that says what the masks of a folder have in common."""
_TILE = 1024
_MULTIPLE = 32
"""What tiles begin at multiples of where the margin is given: the stride of a U-Net of up to five scales."""
_LONGEST = 200
"""Bytes of the stem of a mask's name; file systems take 255 for the whole name."""
_OVERLAID, _BAND = 1 << 24, 256
"""Pixels of the largest picture that gets an overlay, and rows of it that are made at a time."""


@dataclass(frozen=True, kw_only=True)
class Masks:
    """How masks are made.

    Args:
        turns: Number of views of each picture, turned in equal steps of a full circle, to average over.
        tile: Largest side that the network sees at once, in pixels; larger pictures are seen in tiles that overlap.
            None takes 1024, or more where the margin needs it.
        margin: Pixels at inner sides of tiles that are discarded. None measures the receptive field of the network, so
            that tiles give the mask of the whole picture.
        objects: Number the objects of the foreground, in place of classes: its connected parts, or these cut by a
            watershed where objects touch. None for classes.
        format: Format of the masks; `"auto"` takes TIFF for pictures with a place on earth, which the masks then have
            too, and for more than 65,535 objects, and PNG for all others.
        overlays: Write each picture with its mask laid over it too, of up to 16 million pixels.
        pages: What the pages of stacks are; None takes what the network was trained with, else each page is a picture.
        max_unreadable: Largest share of unreadable pictures; one is always allowed.
        device: Where to compute.

    Raises:
        ValueError: If `turns` or `tile` is below 1, or `margin` is negative.
    """

    turns: int = 1
    tile: int | None = None
    margin: int | None = None
    objects: Splitting | None = None
    format: MaskFormat = "auto"
    overlays: bool = True
    pages: Pages = None
    max_unreadable: float = 0.01
    device: Literal["auto", "cpu", "cuda"] = "auto"

    def __post_init__(self) -> None:
        check_positive("predict", turns=self.turns, **({} if self.tile is None else {"tile": self.tile}))
        if self.margin is not None and self.margin < 0:
            raise ValueError(f"predict expects a margin of 0 pixels or more, got {self.margin}.")


def predict_masks(
    trained: TrainedNetwork,
    paths: Sequence[Path],
    out: Path,
    config: Masks,
    *,
    resume: bool = False,
    progress: ProgressCallback = silent,
) -> list[dict[str, Any]]:
    """Predict a mask for each picture; mask and table row are written as soon as they are done.

    Returns:
        A row for each page: file, page, mask, height, width (pixels), share of the pixels of each class (0 to 1),
        number of objects; or file and error, for a picture that cannot be read.

    Raises:
        DataError: If more pictures are unreadable than `max_unreadable`; finished masks are kept.
        FileExistsError: If the folder is not empty and `resume` is false.
        OSError: If the folder cannot be written, or the disk is full; finished masks are kept.
        ValueError: If there is no picture, the folder holds masks of other settings, or tiles do not suit the network.
    """
    files = find_pictures(paths)
    if not resume and out.is_dir() and any(out.iterdir()):
        raise FileExistsError(f"{out} is not empty. Resume with --resume, or choose another folder with --out.")
    check_writable(out / TABLE, "--out")
    work = _Work(trained, config, out)
    known = _rows(out / TABLE) if resume else []
    if known and (found := _settings(out / SETTINGS)) != work.settings:
        raise ValueError(
            f"{out} holds masks of other settings: {found}, got {work.settings}. Choose another folder with --out."
        )
    done = {(row["file"], row["page"]): row for row in known if "error" not in row and (out / row["mask"]).exists()}
    lines = AppendedFile(out / TABLE, "".join(json.dumps(row) + "\n" for row in done.values()))
    taken = {Path(row["mask"]).stem for row in done.values()}
    rows, unreadable, fresh = [], Unreadable(config.max_unreadable), not known
    for number, path in enumerate(files, start=1):
        key = printable(path)
        try:
            head = header_of(path, work.pages)
            for page in range(head.pages):
                row = done.get((key, page))
                if row is None:
                    name = _free(path.stem if head.pages == 1 else f"{path.stem}.{page:04d}", taken)
                    row = {"file": key, "page": page, **work.write(path, page, head, name)}
                    taken.add(name)
                    if fresh:
                        write_atomically(out / SETTINGS, json.dumps(work.settings))
                        fresh = False
                    lines.add(json.dumps(row) + "\n")
                rows.append(row)
        except _TileError as error:
            raise ValueError(str(error)) from error
        except ValueError as error:  # a picture that cannot be read, or is too small, does not stop the others
            unreadable.add(path, error)
            rows.append({"file": key, "error": printable(error)})
        progress("predict", number, len(files))
    unreadable.check(len(files))
    return rows


class _TileError(Exception):
    """Tiles that do not suit the network, whatever the picture."""


class _Work:
    """What makes the masks of pictures, one after another."""

    def __init__(self, trained: TrainedNetwork, config: Masks, out: Path) -> None:
        self._trained, self._config, self._out = trained, config, out
        self._device = find_device("orbitconv predict", config.device)
        self._reach: Reach | None = None
        trained.network.to(self._device)
        self.pages: Pages = pages_for(trained, config.pages)
        self.settings = {
            "network": digest_of(trained.network),
            "turns": config.turns,
            "objects": config.objects,
            "pages": self.pages,
        }
        """What the masks of one folder have in common."""

    def write(self, path: Path, page: int, head: Opened, name: str) -> dict[str, Any]:
        """The mask of one page, as files and as a line."""
        trained, config = self._trained, self._config
        count = len(trained.classes)
        classes = np.zeros((head.height, head.width), np.uint8 if count < 256 else np.uint16)
        pixels = np.zeros(count, np.int64)
        with regions(path, pages=self.pages, page=page) as read:
            picture = ScaledRegions(read, trained, path, (head.height, head.width))
            for rows, said in self._answers(picture, head):
                classes[rows] = said.argmax(0).numpy()
                pixels += np.bincount(classes[rows][picture.valid[rows]], minlength=count)[:count]
            row: dict[str, Any] = {"height": head.height, "width": head.width}
            shares = pixels / max(int(pixels.sum()), 1)
            row["share"] = dict(zip(trained.classes, shares.tolist(), strict=True))
            mask: Shaped[np.ndarray, "h w"] = classes
            if config.objects is not None:
                if not picture.valid.all():
                    classes[~picture.valid] = 0
                mask = objects_of(classes, config.objects)
                del classes
                row["objects"] = int(mask.max())
                mask = mask.astype(np.uint16) if row["objects"] < 1 << 16 else mask
            missing = None
            if not picture.valid.all():
                missing = 0 if config.objects else self._missing(mask.dtype)
                mask[~picture.valid] = missing
            file_format = chosen_format(config.format, head.place, row.get("objects", 0))
            row["mask"] = f"{name}{SUFFIX[file_format]}"
            write_atomically(self._out / row["mask"], encoded(mask, file_format, head.place, missing))
            if config.overlays and mask.size <= _OVERLAID:
                row["overlay"] = f"{name}.overlay.png"
                picture.fix_scaling([(rows, slice(0, head.width)) for rows in _bands(head.height)])
                laid = np.concatenate([
                    overlay(
                        picture.scaled((rows, slice(0, head.width))),
                        torch.from_numpy(np.where(picture.valid[rows], mask[rows], 0).astype(np.int64)),
                    )
                    for rows in _bands(head.height)
                ])  # fmt: skip
                write_atomically(self._out / row["overlay"], encoded(laid, "png"))
        return row

    def _answers(self, picture: ScaledRegions, head: Opened) -> Iterator[tuple[slice, Float[Tensor, "k h w"]]]:
        """Rows and what the network says about them: at once, or in tiles."""
        side = max(self._config.tile or _TILE, 1)
        if max(head.height, head.width) <= side:
            yield slice(0, head.height), self._answer(picture.scaled(None)[None])[0]
            return
        try:
            reach = self._measured()
            if self._config.tile is None:
                side = max(side, least_side(reach.radius, reach.stride))
            tiling = Tiling(
                height=head.height, width=head.width, side=side, margin=reach.radius, multiple=reach.stride
            )  # fmt: skip
        except ValueError as error:
            raise _TileError(str(error)) from error
        picture.fix_scaling(tiling)
        yield from blended(partial(self._answer, margin=reach.radius), picture.scaled, tiling)

    def _answer(self, images: Float[Tensor, "1 c h w"], margin: int = 0) -> Float[Tensor, "1 k h w"]:
        return turned_answers(self._trained, images.to(self._device), self._config.turns, margin).cpu()

    def _missing(self, dtype: np.dtype) -> int:
        """The number in masks that stands for no data: the one that training ignores, if the type holds it."""
        task = self._trained.task
        ignored = task.ignore_index if isinstance(task, Segmentation) else 255
        return ignored if 0 <= ignored <= np.iinfo(dtype).max else int(np.iinfo(dtype).max)

    def _measured(self) -> Reach:
        """Margin and stride of tiles, measured once, as far as they are not given."""
        if self._reach is None:
            given = self._config.margin
            self._reach = (
                reach_of(self._trained.network, self._trained.in_channels) if given is None else Reach(given, 32)
            )
        return self._reach


def _bands(height: int) -> list[slice]:
    """Rows, some at a time."""
    return [slice(start, min(start + _BAND, height)) for start in range(0, height, _BAND)]


def _free(stem: str, taken: set[str]) -> str:
    """A name for a mask: the stem of its picture, with a number where another mask has it."""
    stem = os.fsdecode(os.fsencode(stem)[:_LONGEST])
    names = (stem if number == 1 else f"{stem}-{number}" for number in range(1, len(taken) + 2))
    return next(name for name in names if name not in taken)


def _settings(path: Path) -> dict[str, Any]:
    """What an earlier call wrote down; nothing if that is lost."""
    try:
        return json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return {}


def _rows(path: Path) -> list[dict[str, Any]]:
    """What the table of an earlier call says."""
    rows = []
    for line in whole_lines(path):
        try:
            row = json.loads(line)
        except ValueError as error:
            raise DataError(f"{path} is damaged ({error}). Remove it to make all masks anew.") from error
        rows.append(row)
    return rows
