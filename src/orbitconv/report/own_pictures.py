"""Runs on pictures of one's own: their test images, and a page that shows masks beside the truth."""

import io
from collections.abc import Sequence
from dataclasses import replace
from html import escape

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor

from orbitconv._support.devices import Device
from orbitconv._support.optional import import_optional
from orbitconv._support.progress import ProgressCallback
from orbitconv.data import ImageSet
from orbitconv.evaluation.tested import evaluate_prepared
from orbitconv.prediction.overlay import overlay
from orbitconv.report.html import document, image, number, table
from orbitconv.report.runs import Run
from orbitconv.train.examples import as_numbers
from orbitconv.train.networks import TrainedNetwork, read_trained
from orbitconv.train.prepared import Prepared, evenly, from_folder, open_folder

_SHOWN = 8


def test_set(run: Run, test_images: int, progress: ProgressCallback) -> ImageSet:
    """The test pictures of a run on class folders, as bytes.

    Args:
        run: The run.
        test_images: At most so many, evenly spread.
        progress: Called while they are read.

    Returns:
        Images whose numbers from 0 to 1 are rounded to bytes.

    Raises:
        ValueError: If they differ in size, or have several labels each.
    """
    data = _data(run, read_trained(run.folder), test_images, progress)
    assert data.pictures is not None
    pictures = data.pictures.test or data.pictures.val or data.pictures.train
    if data.pictures.task != "classification" or pictures.shape is None:
        raise ValueError(
            f"report expects test pictures of one size and one class each, got others in {run.config.data}."
        )
    images, labels = zip(*(pictures[i] for i in evenly(len(pictures), test_images)), strict=True)
    return ImageSet(
        images=(255 * torch.stack(images).clamp(0, 1)).round().to(torch.uint8), labels=torch.stack(labels),
        classes=data.classes, name=run.config.data, split="test",
    )  # fmt: skip


def mask_page(runs: Sequence[Run], test_images: int, device: Device, progress: ProgressCallback) -> str:
    """A page about networks that label pixels: figures, and pictures with their masks, the worst first.

    Args:
        runs: Finished runs.
        test_images: Test pictures at most for each.
        device: Where to compute.
        progress: Called as the work goes on.

    Returns:
        The page, as HTML.
    """
    rows, parts, record = [], [], []
    for run in runs:
        trained = read_trained(run.folder)
        data = _data(run, trained, test_images, progress)
        found = evaluate_prepared(trained, data, angles=(0, 45, 90), device=device, progress=progress)
        at = found["error_at"]
        name = f"{run.folder.name} ({run.config.network.basis})"
        figures = [number(found[key]) for key in ("mean_iou", "mean_dice")]
        objects = found.get("object_f1", {}).get("0.5")
        rows.append([escape(name), *figures, number(objects), *(f"{at[key]:.2f} %" for key in ("0", "45", "90"))])
        parts.append(f"<h2>{escape(name)}</h2>\n{_examples(trained, data)}")
        record.append({"run": run.folder.name, **{k: v for k, v in found.items() if k != "confusion"}})
    head = ["network", "mean IoU", "mean Dice", "F1 of objects at IoU 0.5", "error at 0°", "at 45°", "at 90°"]
    errors = table("Test pictures; the error is 1 less the mean IoU", head, rows)
    return document(
        "Networks that label pixels", f"<h1>Networks that label pixels</h1>\n{errors}\n{''.join(parts)}", record
    )


def _data(run: Run, trained: TrainedNetwork, test_images: int, progress: ProgressCallback) -> Prepared:
    """The pictures that a run was tested on, scaled as it knows them."""
    config = replace(run.config, pictures=replace(run.config.pictures, channels=trained.in_channels))
    pictures = open_folder(config, record=run.folder, progress=progress)
    for part in (pictures.train, pictures.val, pictures.test):
        if part is not None and trained.scaling is not None:
            part.scaling = trained.scaling
    return from_folder(pictures, train_images=run.config.train_images, test_images=test_images)


@torch.no_grad()
def _examples(trained: TrainedNetwork, data: Prepared) -> str:
    """Pictures with the mask of the network beside the true one, the most wrong first."""
    source = data.tests.get("test", data.tests.get("validation", data.train))
    network = trained.network.cpu()
    seen: list[tuple[float, Tensor, Tensor, Tensor]] = []
    for images, labels in source.batches(0, 1):
        for picture, true in zip(as_numbers(images), labels, strict=True):
            scores = network(picture[None])
            wrong = float(trained.task.wrong(scores, true[None]))
            seen = sorted([*seen, (wrong, picture, scores[0].argmax(0), true)], key=lambda one: -one[0])[:_SHOWN]
    figures = [
        f"<figure>{image(_beside(picture, said, true), 'png', 'picture, mask of the network, true mask')}"
        f"<figcaption>{100 * wrong:.1f} % of the pixels wrong: picture, mask of the network, true mask</figcaption>"
        "</figure>"
        for wrong, picture, said, true in seen
    ]  # fmt: skip
    return "\n".join(figures)


def _beside(picture: Float[Tensor, "c h w"], said: Int64[Tensor, "h w"], true: Int64[Tensor, "h w"]) -> bytes:
    """A picture, and with either mask laid over it, as PNG."""
    true = true.where(true != 255, 0)
    shown = np.concatenate([overlay(picture, mask) for mask in (torch.zeros_like(said), said, true)], axis=1)
    content = io.BytesIO()
    import_optional("PIL.Image", "train", "Writing PNG").fromarray(shown).save(content, "PNG")
    return content.getvalue()
