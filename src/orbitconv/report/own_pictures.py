"""Tests of runs on pictures of one's own, of any task: figures, and the pictures with the largest errors."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from orbitconv._support.devices import Device
from orbitconv._support.progress import ProgressCallback
from orbitconv.evaluation.network_facts import group_of
from orbitconv.evaluation.tested import evaluate_prepared, few_images, pictures_for
from orbitconv.models import count_multiply_adds, count_parameters
from orbitconv.prediction.mask_files import encoded
from orbitconv.prediction.overlay import overlay
from orbitconv.report.measure import LAYER_IMAGES, Measured, convolution_errors
from orbitconv.report.runs import Run
from orbitconv.train.examples import Source, as_numbers
from orbitconv.train.networks import TrainedNetwork, read_trained
from orbitconv.train.segmentation import Segmentation

_SHOWN = 12


@dataclass(frozen=True, kw_only=True)
class Example:
    """A picture that a network gets wrong, as PNG, and what is wrong in words.

    For masks it also shows the predicted and the true mask, laid over it side by side.
    """

    png: bytes
    caption: str


@dataclass(frozen=True, kw_only=True)
class OwnFigures:
    """Results of one network on test pictures, labels of pixels if `masks`, as found by `orbitconv.evaluate`.

    Examples are the pictures with the largest errors, the worst first.
    """

    classes: tuple[str, ...]
    pictures: int
    masks: bool
    found: dict[str, Any]
    examples: tuple[Example, ...]


def measure_own(
    run: Run, test_images: int, degrees: Sequence[int], device: Device, progress: ProgressCallback
) -> tuple[TrainedNetwork, Measured, OwnFigures]:
    """Test a finished run on the test pictures of its folder, at most so many, evenly spread, and on turns of them."""
    trained = read_trained(run.folder)
    data = pictures_for(trained, run.config, run.folder, test_images, progress)
    found = evaluate_prepared(trained, data, angles=degrees, device=device, progress=progress)
    source = data.tests.get("test", data.tests.get("validation", data.train))
    network = trained.network.cpu()
    few = few_images(source, LAYER_IMAGES)
    measured = Measured(
        parameters=count_parameters(network), multiply_adds=count_multiply_adds(network, tuple(few.shape[1:])),
        group=group_of(network), layers=convolution_errors(network, few), error=found["error_percent"],
        random_error=found["error_random"], by_angle={one: found["error_at"][f"{one:g}"] for one in degrees},
    )  # fmt: skip
    figures = OwnFigures(
        classes=trained.classes, pictures=len(source), masks=isinstance(trained.task, Segmentation), found=found,
        examples=_examples(trained, source),
    )  # fmt: skip
    return trained, measured, figures


@torch.no_grad()
def _examples(trained: TrainedNetwork, source: Source) -> tuple[Example, ...]:
    """The pictures that are most wrong: by their pixels, or by how sure the network is of its wrong classes."""
    task = trained.task
    worst: list[tuple[float, Tensor, Tensor, Tensor]] = []
    for images, labels in source.batches(0, 1):
        numbers = as_numbers(images)
        scores = trained.network(numbers)
        for picture, one, true in zip(numbers, scores, labels, strict=True):
            wrong = float(task.wrong(one[None], true[None]))
            if wrong and not isinstance(task, Segmentation):
                wrong = float(task.probabilities(one[None]).max())
            if wrong:
                worst = sorted([*worst, (wrong, picture, one, true)], key=lambda each: -each[0])[:_SHOWN]
    return tuple(_example(trained, *each) for each in worst)


def _example(trained: TrainedNetwork, wrong: float, picture: Tensor, scores: Tensor, true: Tensor) -> Example:
    """One picture in words and colours."""
    said, task = trained.task.answer(scores[None])[0], trained.task
    nothing = torch.zeros(picture.shape[-2:], dtype=torch.int64)
    if isinstance(task, Segmentation):
        masks = (nothing, said, true.where(true != task.ignore_index, 0))
        shown = np.concatenate([overlay(picture, mask) for mask in masks], axis=1)
        return Example(png=encoded(shown, "png"), caption=f"{100 * wrong:.1f} % of the pixels wrong")
    names = [_names(trained.classes, one) for one in (true, said)]
    percent = min(99.9, 100 * wrong)  # 100.0 would claim certainty
    return Example(png=encoded(overlay(picture, nothing), "png"), caption=f"{names[0]} → {names[1]}, {percent:.1f} %")


def _names(classes: tuple[str, ...], label: Float[Tensor, "*k"] | Tensor) -> str:
    """The class, or the classes, of a label."""
    if label.ndim == 0:
        return classes[int(label)]
    return " + ".join(name for name, one in zip(classes, label, strict=True) if one > 0.5) or "none"
