"""Predictions in one line: classes of pictures, or masks."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from orbitconv._support.progress import ProgressCallback, silent
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
    progress: ProgressCallback = silent,
    **options: Any,
) -> list[Prediction] | list[dict[str, Any]]:
    """Predict classes or masks of pictures.

    Args:
        network: What `orbitconv.fit` or `orbitconv.train.read_trained` gave, or a file or folder of a training.
        pictures: Picture files, and folders of them.
        turns: Average so many turned copies of each.
        out: Folder for masks; needed for a network that labels pixels.
        resume: Keep the masks that are in the folder.
        progress: Called as the work goes on.
        **options: Others of `Predict` or of `Masks`.

    Returns:
        For classes, a `Prediction` for each picture; for masks, a line for each, with the name of its mask in `out`.

    Raises:
        ValueError: If masks have no folder to go to.
    """
    trained = network if isinstance(network, TrainedNetwork) else read_trained(network)
    paths = [Path(one) for one in ([pictures] if isinstance(pictures, str | Path) else pictures)]
    if trained.task.name != "segmentation":
        return predict_pictures(trained, paths, Predict(turns=turns, **options), progress)
    if out is None:
        raise ValueError("predict expects a folder for the masks of a network that labels pixels: out=.")
    return predict_masks(trained, paths, Path(out), Masks(turns=turns, **options), resume=resume, progress=progress)
