"""Masks of pictures of any size, from a trained network: written as they are made, and kept on resume."""

import io
import json
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Float, Int64, UInt8
from torch import Tensor

from orbitconv._support.devices import find_device
from orbitconv._support.files import write_atomically
from orbitconv._support.optional import import_optional
from orbitconv._support.progress import ProgressCallback, silent
from orbitconv.data.channels import with_channels
from orbitconv.data.formats import Region, open_picture, regions
from orbitconv.data.reading import scaling_of_one
from orbitconv.data.tiles import Tiling, blended
from orbitconv.prediction.preparing import find_pictures
from orbitconv.train.networks import TrainedNetwork
from orbitconv.train.segmentation import objects_of

MaskFormat = Literal["png", "tiff"]

_COLOURS = ((230, 60, 60), (60, 120, 230), (60, 180, 90), (240, 180, 40), (160, 80, 200), (40, 190, 200))
TABLE = "masks.jsonl"
"""Name of the file with one line for each picture that is done."""


@dataclass(frozen=True, kw_only=True)
class Masks:
    """How masks are made.

    Args:
        turns: Average so many copies of each picture, turned by quarter turns: 1, 2 or 4.
        tile: Largest side that the network sees at once, in pixels; larger pictures are seen in tiles that overlap.
        margin: Pixels at inner sides of tiles that do not count: at least the radius of the receptive field.
        objects: Number the connected parts of the foreground, in place of classes.
        format: Format of the masks.
        overlays: Write each picture with its mask laid over it too.
        device: Where to compute.

    Raises:
        ValueError: If turns are not quarter turns.
    """

    turns: int = 1
    tile: int = 1024
    margin: int = 64
    objects: bool = False
    format: MaskFormat = "png"
    overlays: bool = True
    device: Literal["auto", "cpu", "cuda"] = "auto"

    def __post_init__(self) -> None:
        if self.turns not in {1, 2, 4}:
            raise ValueError(f"predict turns pictures for masks by quarter turns: 1, 2 or 4 copies, got {self.turns}.")


@torch.no_grad()
def turned_answers(trained: TrainedNetwork, images: Float[Tensor, "b c h w"], turns: int) -> Float[Tensor, "b k h w"]:
    """Probabilities of the classes of every pixel, the mean over turned copies that are turned back.

    Args:
        trained: The network, with a score for every pixel.
        images: Images of any size, scaled.
        turns: 1, 2 or 4 copies.

    Returns:
        Probabilities.
    """
    total = torch.zeros(())
    for quarters in range(0, 4, 4 // turns):
        said = trained(torch.rot90(images, quarters, (-2, -1)))
        total = total.to(said) + torch.rot90(said, -quarters, (-2, -1))
    return total / turns


def predict_masks(
    trained: TrainedNetwork,
    paths: Sequence[Path],
    out: Path,
    config: Masks,
    *,
    resume: bool = False,
    progress: ProgressCallback = silent,
) -> list[dict[str, Any]]:
    """Write a mask for each picture, and a line about it as soon as it is done.

    Args:
        trained: The network.
        paths: Picture files, and folders of them.
        out: Folder for the masks, named as the pictures are.
        config: How they are made.
        resume: Keep what is done in the folder, and go on.
        progress: Called after each picture.

    Returns:
        A line for each picture: file, mask, height, width, share of the pixels of each class, number of objects; or the
        error, for one that cannot be read.

    Raises:
        FileExistsError: If the folder is not empty and `resume` is false.
        ValueError: If there is no picture.
    """
    files = find_pictures(paths)
    names = _names(files)
    table = out / TABLE
    done = {row["file"]: row for row in _lines(table)} if resume else {}
    if not resume and out.is_dir() and any(out.iterdir()):
        raise FileExistsError(f"{out} is not empty. Go on with --resume, or choose another folder with --out.")
    out.mkdir(parents=True, exist_ok=True)
    trained.network.to(find_device("orbitconv predict", config.device))
    rows = []
    with table.open("a" if resume else "w", encoding="utf-8") as lines:
        for number, (path, name) in enumerate(zip(files, names, strict=True), start=1):
            key = os.fsencode(path).decode("utf-8", "backslashreplace")
            row = done.get(key)
            if row is None or "error" in row or not (out / row["mask"]).exists():
                try:
                    row = {"file": key, **_one(trained, path, out, name, config)}
                except (ValueError, OSError) as error:  # a picture that cannot be read does not stop the others
                    if isinstance(error, OSError) and not isinstance(error, FileNotFoundError):
                        raise
                    row = {"file": key, "error": str(error).encode("utf-8", "backslashreplace").decode()}
                lines.write(json.dumps(row) + "\n")
                lines.flush()
            rows.append(row)
            progress("predict", number, len(files))
    return rows


def _one(trained: TrainedNetwork, path: Path, out: Path, name: str, config: Masks) -> dict[str, Any]:
    """The mask of one picture, as files and as a line."""
    with open_picture(path) as opened:
        height, width = opened.height, opened.width
    classes = np.zeros((height, width), np.uint8)
    device = next(iter(trained.network.parameters()), torch.empty(0)).device

    def answer(images: Float[Tensor, "1 c h w"]) -> Float[Tensor, "1 k h w"]:
        return turned_answers(trained, images.to(device), config.turns).cpu()

    with regions(path) as read:

        def scaled(region: Region | None) -> Float[Tensor, "c h w"]:
            picture = with_channels(read(region), trained.in_channels, path)
            return (trained.scaling or scaling_of_one(picture)).floats(picture)

        for rows, said in _answers(answer, scaled, height, width, config):
            classes[rows] = said.argmax(0).to(torch.uint8).numpy()
        shares = np.bincount(classes.ravel(), minlength=len(trained.classes)) / classes.size
        row: dict[str, Any] = {"height": height, "width": width}
        row["share"] = {one: float(share) for one, share in zip(trained.classes, shares, strict=False)}
        mask: np.ndarray = classes
        if config.objects:
            numbered = objects_of(torch.from_numpy(classes).long()).numpy()
            row["objects"] = int(numbered.max())
            mask = numbered.astype(np.uint16 if numbered.max() < 1 << 16 else np.int32)
        row["mask"] = f"{name}.{'png' if config.format == 'png' else 'tif'}"
        write_atomically(out / row["mask"], _encoded(mask, config.format))
        if config.overlays and height * width <= 1 << 24:
            row["overlay"] = f"{name}.overlay.png"
            write_atomically(
                out / row["overlay"], _encoded(overlay(scaled(None), torch.from_numpy(mask).long()), "png")
            )
    return row


def _answers(
    answer: Callable[[Tensor], Tensor], scaled: Callable[[Region | None], Tensor], height: int, width: int,
    config: Masks,
) -> Iterator[tuple[slice, Float[Tensor, "k h w"]]]:  # fmt: skip
    """Rows and what the network says about them: at once, or in tiles."""
    if max(height, width) <= config.tile:
        yield slice(0, height), answer(scaled(None)[None])[0]
        return
    tiling = Tiling(height=height, width=width, side=config.tile, margin=config.margin)
    yield from blended(answer, scaled, tiling)


def overlay(image: Float[Tensor, "c h w"], mask: Int64[Tensor, "h w"]) -> UInt8[np.ndarray, "h w 3"]:
    """A picture with its mask laid over it in colours.

    Args:
        image: Scaled picture; of channels other than three the first is shown.
        mask: 0 where nothing is laid over it.

    Returns:
        A picture in red, green and blue.
    """
    seen = (image if image.shape[0] == 3 else image[:1].expand(3, -1, -1)).clamp(0, 1).movedim(0, -1)
    colours = torch.tensor(_COLOURS)[(mask - 1).clamp(min=0) % len(_COLOURS)] / 255
    shown = torch.where(mask[..., None] > 0, 0.55 * seen + 0.45 * colours, seen)
    return (255 * shown).round().to(torch.uint8).numpy()


def _encoded(pixels: np.ndarray, file_format: MaskFormat) -> bytes:
    """Pixels as a file."""
    content = io.BytesIO()
    if file_format == "tiff":
        import_optional("tifffile", "train", "Writing TIFF").imwrite(content, pixels)
    else:
        if pixels.dtype == np.int32:
            raise ValueError(f"A mask of {int(pixels.max())} objects is more than PNG holds (65,535). Choose tiff.")
        import_optional("PIL.Image", "train", "Writing PNG").fromarray(pixels).save(content, "PNG")
    return content.getvalue()


def _names(files: Sequence[Path]) -> list[str]:
    """A name for the mask of each picture: its stem, with a number where several have the same."""
    seen: dict[str, int] = {}
    names = []
    for path in files:
        stem = path.stem
        seen[stem] = seen.get(stem, 0) + 1
        names.append(stem if seen[stem] == 1 else f"{stem}-{seen[stem]}")
    return names


def _lines(path: Path) -> list[dict[str, Any]]:
    """Lines that were written whole."""
    if not path.exists():
        return []
    rows = []
    for line in path.read_text("utf-8").splitlines():
        try:
            rows.append(json.loads(line))
        except ValueError:  # cut off when the process was killed
            continue
    return rows
