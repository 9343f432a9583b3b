"""Errors on turned images, and how far the output turns along, in one pass over the images."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from orbitconv._support.progress import ProgressCallback
from orbitconv.data.rotation import TEST_SEED
from orbitconv.train.augmentation import Draws
from orbitconv.train.examples import Batch, Source, as_numbers
from orbitconv.train.settings import Augmentation
from orbitconv.train.task import Task

RANDOM = "random"
"""Name of the test in which each image is turned by its own angle, the same one in every call."""
_TURNING = Augmentation(rotation="circle")


@dataclass(frozen=True)
class TurnedFigures:
    """Results of one turn of all images.

    Args:
        error_percent: Error of the task, in percent.
        changed_percent: Difference to the network's own output for the upright images, turned likewise, in percent: 0
            if the output turns with the images.
    """

    error_percent: float
    changed_percent: float


@torch.no_grad()
def turned_figures(
    network: nn.Module, source: Source, task: Task, angles: Sequence[float], progress: ProgressCallback
) -> dict[str, TurnedFigures]:
    """Test a network on images that are turned about the centre of their largest middle square.

    Angles are in degrees, counter-clockwise; the task turns labels along. The network is put in eval mode.
    """
    network.eval()
    counts: dict[str, list[Tensor]] = {}
    draw = torch.Generator().manual_seed(TEST_SEED)
    seen = 0
    for images, labels in _squares(source.batches(0, 1)):
        n = len(images)
        own = task.answer(network(images))
        at = {f"{one:g}": torch.full((n,), one, dtype=torch.float64) for one in angles}
        at[RANDOM] = 360 * torch.rand(n, generator=draw, dtype=torch.float64)
        for name, degrees in at.items():
            draws = _turns(degrees).part(slice(None), images.device)
            turned, true = task.augment(images, labels, _TURNING, draws)
            _, expected = task.augment(images, own, _TURNING, draws)
            scores = network(turned)
            new = [task.counts(scores, one) for one in (true, expected)]
            counts[name] = [a + b for a, b in zip(counts.get(name, [0, 0]), new, strict=True)]
        seen += n
        progress("turn images", min(seen, len(source)), len(source))
    errors = {name: [task.figures(one.cpu())["error_percent"] for one in each] for name, each in counts.items()}
    return {name: TurnedFigures(error, changed) for name, (error, changed) in errors.items()}


def middle_square(size: tuple[int, int], most: int | None = None) -> tuple[slice, slice]:
    """The largest middle square of a plane."""
    side = min(*size, *(() if most is None else (most,)))
    top, left = ((length - side) // 2 for length in size)
    return slice(top, top + side), slice(left, left + side)


def _squares(batches: Iterator[Batch]) -> Iterator[tuple[Float[Tensor, "n c s s"], Tensor]]:
    """Largest middle squares of images, and of masks."""
    for images, labels in batches:
        numbers = as_numbers(images)
        square = (..., *middle_square((numbers.shape[-2], numbers.shape[-1])))
        yield numbers[square], labels[square] if labels.ndim > 2 else labels


def _turns(degrees: Float[Tensor, " n"]) -> Draws:
    """Turns as augmentation makes them: by whole quarters, and the rest."""
    quarters = torch.div(degrees % 360, 90, rounding_mode="floor")
    n, none = len(degrees), torch.zeros(len(degrees), dtype=torch.int64)
    return Draws(
        flip=none.bool(), down=none, right=none, quarters=quarters.long(),
        degrees=(degrees % 360 - 90 * quarters).float(), pull=torch.zeros(n, 2, 4, 4),
    )  # fmt: skip


def by_angle(figures: Mapping[str, TurnedFigures], name: str) -> dict[str, float]:
    """One figure in percent by angle in degrees, without that of random angles."""
    return {angle: getattr(one, name) for angle, one in figures.items() if angle != RANDOM}
