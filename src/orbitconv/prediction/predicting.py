"""Classes of pictures, from a trained network and turned copies of each picture."""

import warnings
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor, nn

from orbitconv._support.checks import check_positive
from orbitconv._support.devices import Device, find_device
from orbitconv._support.explained import explained_memory
from orbitconv._support.files import printable
from orbitconv._support.progress import ProgressCallback, silent
from orbitconv.data import DataError
from orbitconv.data.formats import Pages
from orbitconv.groups import Cyclic, act_image
from orbitconv.prediction.preparing import (
    ImageForm,
    Unreadable,
    find_pictures,
    header_of,
    pages_for,
    prepare,
)
from orbitconv.train import TrainedNetwork

# Pictures that are held in memory at a time.
_BATCH = 100
# What helps where they need more memory than there is.
_SMALLER = f"Lower --size, give fewer than {_BATCH} pictures at a time, or choose another --device."


@dataclass(frozen=True, kw_only=True)
class Predict:
    """How pictures are prepared for a classifier, and how many turned copies are averaged."""

    size: int | None = None
    """Side of the images in pixels; by default that of the images it was trained on."""
    invert: bool = False
    """Show the negative: for dark strokes on a light ground where the network knows light ones on black, as MNIST's."""
    turns: int = 1
    """Number of copies of each picture, turned in equal steps of a full circle, whose probabilities are averaged."""
    pages: Pages = None
    """What the pages of a stack are: pictures, or the channels of one picture; by default what the network was trained
    with, else pictures."""
    max_unreadable: float = 0.01
    """Largest share of unreadable pictures, which are named and left out; one is always allowed."""
    device: Device = "auto"
    """Where to compute; "auto" takes a GPU where there is one."""

    def __post_init__(self) -> None:
        check_positive("predict", turns=self.turns, **({} if self.size is None else {"size": self.size}))

    def form(self, trained: TrainedNetwork) -> ImageForm:
        """The shape and range of the images that a network takes; one trained on windows takes pictures of any size."""
        height_and_width = trained.image_size if self.size is None else (self.size, self.size)
        if self.size is None and trained.config.pictures.window is not None and trained.scaling is not None:
            height_and_width = (None, None)
        if height_and_width is None:
            raise ValueError(
                "The file of this network does not say the size of its images. Give their side in pixels with --size."
            )
        height, width = height_and_width
        return ImageForm(
            channels=trained.in_channels, height=height, width=width, invert=self.invert, scaling=trained.scaling,
            pages=pages_for(trained, self.pages),
        )  # fmt: skip


@dataclass(frozen=True, eq=False, kw_only=True)
class Prediction:
    """The predicted class of one page, from 0, of a picture file of some height and width, in pixels.

    `turned` holds the probability of each class for each turned copy, the upright copy first.
    """

    path: Path
    picture_size: tuple[int, int]
    classes: tuple[str, ...]
    turned: Float[Tensor, "turns classes"]
    page: int = 0

    @property
    def probabilities(self) -> Float[Tensor, " classes"]:
        """Probability of each class, averaged over the turned copies."""
        return self.turned.mean(0)

    @property
    def ranking(self) -> list[int]:
        """Classes from the most probable to the least."""
        return self.probabilities.argsort(descending=True, stable=True).tolist()

    @property
    def agreeing(self) -> int:
        """Number of turned copies whose own most probable class is that of the mean over all copies."""
        return int((self.turned.argmax(1) == self.ranking[0]).sum())

    @property
    def lowest(self) -> float:
        """Smallest probability of the predicted class among the turned copies."""
        return float(self.turned[:, self.ranking[0]].min())


def predict_pictures(
    trained: TrainedNetwork,
    paths: Sequence[Path],
    config: Predict,
    progress: ProgressCallback = silent,
    on_batch: Callable[[Sequence[Prediction]], None] | None = None,
    *,
    done: Collection[tuple[str, int]] = (),
    on_unreadable: Callable[[str], None] = warnings.warn,
) -> list[Prediction]:
    """Predict the class of pictures.

    Returns:
        A prediction for each page of each picture, in the order of the paths.

    Raises:
        DataError: If more pictures are unreadable than `max_unreadable`.
        MemoryError: If there is too little memory; says what to lower.
        ValueError: If there is no picture, or the network labels pixels or does not take images of this size.
    """
    files, form = find_pictures(paths), config.form(trained)
    if trained.task.name == "segmentation":
        raise ValueError(
            "predict_pictures predicts one class a picture; this network labels pixels. Use predict_masks."
        )
    device = find_device("orbitconv predict", config.device)
    with explained_memory("the network", "Choose another --device."):
        trained.network.to(device)
    unreadable, predictions = Unreadable(config.max_unreadable), []
    for batch in _batches(files, form, set(done), unreadable):
        predicted = _predicted(trained, batch.pictures, config, device)
        predictions.extend(predicted)
        if on_batch is not None and predicted:
            on_batch(predicted)
        progress("predict", batch.files, len(files))
    unreadable.check(len(files))
    for reason in unreadable.reasons.values():
        on_unreadable(reason)
    return predictions


@dataclass(frozen=True, eq=False)
class _Shown:
    """One page as the network takes it."""

    path: Path
    page: int
    image: Float[Tensor, "c h w"]
    picture_size: tuple[int, int]


@dataclass(frozen=True, eq=False)
class _Batch:
    """Pages of one size, and how many files are through with them."""

    pictures: Sequence[_Shown]
    files: int


def _batches(
    files: Sequence[Path], form: ImageForm, done: Collection[tuple[str, int]], unreadable: Unreadable
) -> Iterator[_Batch]:
    """The pages of all files that can be read and are not done, some at a time."""
    shown: list[_Shown] = []
    for number, path in enumerate(files):
        try:
            for page in range(header_of(path, form.pages).pages):
                if (printable(path), page) in done:
                    continue
                image, size = prepare(path, form, page)
                if shown and (len(shown) == _BATCH or shown[0].image.shape != image.shape):
                    yield _Batch(shown, number)
                    shown = []
                shown.append(_Shown(path, page, image, size))
        except DataError as error:
            unreadable.add(path, error)
    yield _Batch(shown, len(files))


def _predicted(
    trained: TrainedNetwork, shown: Sequence[_Shown], config: Predict, device: torch.device
) -> list[Prediction]:
    """Predictions of pages of one size."""
    if not shown:
        return []
    images = torch.stack([one.image for one in shown])
    shape = f"{images.shape[2]}x{images.shape[3]} pixels"
    try:
        with explained_memory(f"{len(images)} images of {shape}", _SMALLER):
            turned = turned_probabilities(
                trained.network, images.to(device), config.turns, trained.task.probabilities,
                clamp=trained.scaling is None,
            ).cpu()  # fmt: skip
    except (RuntimeError, ValueError) as error:
        raise ValueError(f"This network takes no images of {shape}: {error}. Choose another --size.") from error
    return [
        Prediction(
            path=one.path, picture_size=one.picture_size, classes=trained.classes, turned=each, page=one.page
        )
        for one, each in zip(shown, turned, strict=True)
    ]  # fmt: skip


def _softmax(scores: Tensor) -> Tensor:
    return scores.softmax(1)


@torch.no_grad()
def turned_probabilities(
    network: nn.Module,
    images: Float[Tensor, "n c h w"],
    turns: int,
    probabilities: Callable[[Tensor], Tensor] = _softmax,
    *,
    clamp: bool = True,
) -> Float[Tensor, "n turns classes"]:
    """Probabilities of the classes of images that are turned in equal steps of a full circle, the upright ones first.

    Quarter turns of square images move pixels; all others are cubic splines, with zeros coming in from outside, and
    clamped to 0 and 1 if asked. The network is put in eval mode.
    """
    network.eval()
    circle = Cyclic(turns)
    copies = (act_image(images, circle, g) for g in range(turns))
    return torch.stack([probabilities(network(copy.clamp(0, 1) if clamp else copy)) for copy in copies], dim=1)
