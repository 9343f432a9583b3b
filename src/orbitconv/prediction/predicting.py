"""Classes of pictures, from a trained network and turned copies of each picture."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor, nn

from orbitconv._support.checks import check_positive
from orbitconv._support.devices import Device, find_device
from orbitconv._support.explained import explained_memory
from orbitconv._support.progress import ProgressCallback, silent
from orbitconv.groups import Cyclic, act_image
from orbitconv.prediction.preparing import ImageForm, find_pictures, prepare
from orbitconv.train import TrainedNetwork

# Pictures that are held in memory at a time.
_BATCH = 100
# What helps where they need more memory than there is.
_SMALLER = f"Lower --size, give fewer than {_BATCH} pictures at a time, or choose another --device."


@dataclass(frozen=True, kw_only=True)
class Predict:
    """How pictures are shown to a network."""

    size: int | None = None
    """Side of the images in pixels; by default that of the images it was trained on."""
    invert: bool = False
    """Show the negative: for dark strokes on a light ground where the network knows light ones on black, as MNIST's."""
    turns: int = 1
    """Show each picture so many times, turned in equal steps of a full circle, and average the probabilities."""
    device: Device = "auto"
    """Where to compute; "auto" takes a GPU where there is one."""

    def __post_init__(self) -> None:
        check_positive("predict", turns=self.turns, **({} if self.size is None else {"size": self.size}))

    def form(self, trained: TrainedNetwork) -> ImageForm:
        """What the images of a network look like.

        Args:
            trained: The network.

        Returns:
            Channels, size, and whether pictures are negatives.

        Raises:
            ValueError: If neither the file of the network nor `size` tells the size.
        """
        height_and_width = trained.image_size if self.size is None else (self.size, self.size)
        if height_and_width is None:
            raise ValueError(
                "The file of this network does not tell the size of its images, as it was written by an older version. "
                "Give their side in pixels with --size."
            )
        height, width = height_and_width
        return ImageForm(
            channels=trained.in_channels, height=height, width=width, invert=self.invert, scaling=trained.scaling
        )


@dataclass(frozen=True, eq=False, kw_only=True)
class Prediction:
    """What a network sees in one picture.

    Args:
        path: The file.
        picture_size: Height and width in the file.
        classes: Names of the classes.
        turned: Probability of each class for each turned copy, the upright one first.
    """

    path: Path
    picture_size: tuple[int, int]
    classes: tuple[str, ...]
    turned: Float[Tensor, "turns classes"]

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
        """How many of the turned copies, each by itself, are of the class that all of them together are."""
        return int((self.turned.argmax(1) == self.ranking[0]).sum())

    @property
    def lowest(self) -> float:
        """Probability of that class in the turned copy where it is smallest."""
        return float(self.turned[:, self.ranking[0]].min())


def predict_pictures(
    trained: TrainedNetwork,
    paths: Sequence[Path],
    config: Predict,
    progress: ProgressCallback = silent,
    on_batch: Callable[[Sequence[Prediction]], None] | None = None,
) -> list[Prediction]:
    """Predict the class of pictures.

    Args:
        trained: The network.
        paths: Picture files, and folders of them.
        config: How the pictures are shown.
        progress: Called after every batch of pictures.
        on_batch: Called with the predictions of every batch, to keep them.

    Returns:
        A prediction for each picture, in the order of the paths.

    Raises:
        MemoryError: If the memory does not suffice; says what to lower.
        ValueError: If a file is no picture, a folder holds none, or the network does not take such images.
    """
    files, form = find_pictures(paths), config.form(trained)
    if trained.task.name == "segmentation":
        raise ValueError("predict_pictures tells classes of pictures; this network labels pixels. Use predict_masks.")
    device = find_device("orbitconv predict", config.device)
    with explained_memory("the network", "Choose another --device."):
        network = trained.network.to(device)
    shape = f"{form.height}x{form.width} pixels"
    predictions: list[Prediction] = []
    for start in range(0, len(files), _BATCH):
        batch = files[start : start + _BATCH]
        images, sizes = zip(*(prepare(path, form) for path in batch), strict=True)
        try:
            with explained_memory(f"{len(batch)} images of {shape}", _SMALLER):
                turned = turned_probabilities(
                    network,
                    torch.stack(images).to(device),
                    config.turns,
                    trained.task.probabilities,
                    clamp=trained.scaling is None,
                ).cpu()
        except RuntimeError as error:
            raise ValueError(f"This network takes no images of {shape}: {error}. Choose another --size.") from error
        predictions.extend(
            Prediction(path=path, picture_size=size, classes=trained.classes, turned=each)
            for path, size, each in zip(batch, sizes, turned, strict=True)
        )
        if on_batch is not None:
            on_batch(predictions[start:])
        progress("predict", len(predictions), len(files))
    return predictions


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
    """Probabilities of the classes of images that are turned in equal steps of a full circle.

    Quarter turns of square images move pixels; all others are cubic splines, with zeros coming in from outside.

    Args:
        network: Classifier; it is put in eval mode.
        images: Images, upright.
        turns: How many copies of each, the upright one included.
        probabilities: What the scores say about the classes.
        clamp: Whether to keep turned images within 0 and 1.

    Returns:
        Probabilities, the upright images first.
    """
    network.eval()
    circle = Cyclic(turns)
    copies = (act_image(images, circle, g) for g in range(turns))
    return torch.stack([probabilities(network(copy.clamp(0, 1) if clamp else copy)) for copy in copies], dim=1)
