"""Predict classes or masks, as the network was trained for."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from orbitconv._support.progress import ProgressCallback, shown_progress
from orbitconv.prediction.masks import Masks, predict_masks
from orbitconv.prediction.predicting import Predict, Prediction, predict_pictures
from orbitconv.train.networks import TrainedNetwork, read_trained


def predict(
    network: TrainedNetwork | Path | str,
    pictures: Path | str | Sequence[Path | str],
    *,
    turns: int = 1,
    out: Path | str | None = None,
    resume: bool = False,
    progress: ProgressCallback | None = None,
    **options: Any,
) -> list[Prediction] | list[dict[str, Any]]:
    """Predict classes or masks of pictures.

    Args:
        network: What `orbitconv.fit` or `orbitconv.train.read_trained` gave, or a file or folder of a training.
        pictures: Picture files, and folders of them.
        turns: Number of turned copies of each picture to average over, the upright one included.
        out: Folder for masks; needed for a network that labels pixels.
        resume: Keep the masks in the folder and add the missing ones.
        progress: Called with (what, done, total). None shows a bar on the terminal after two seconds;
            `orbitconv.data.silent` shows nothing.
        **options: Further fields of `Predict` (classes) or `Masks` (masks).

    Returns:
        For classes, a `Prediction` for each page of each picture; for masks, the rows that `predict_masks` returns.

    Raises:
        DataError: If more pictures are unreadable than `max_unreadable`.
        FileNotFoundError: If a picture or the network does not exist.
        ValueError: If masks are predicted without `out`, or there is no picture.
    """
    trained = network if isinstance(network, TrainedNetwork) else read_trained(network)
    paths = [Path(one) for one in ([pictures] if isinstance(pictures, str | Path) else pictures)]
    with shown_progress(progress) as report:
        if trained.task.name != "segmentation":
            return predict_pictures(trained, paths, Predict(turns=turns, **options), report)
        if out is None:
            raise ValueError("predict expects a folder for the masks of a network that labels pixels: out=.")
        return predict_masks(trained, paths, Path(out), Masks(turns=turns, **options), resume=resume, progress=report)
