"""Predictions as files."""

import csv
import io
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from orbitconv._support.files import write_atomically
from orbitconv._support.folders import to_json
from orbitconv.prediction.predicting import Prediction


def row_of(prediction: Prediction) -> dict[str, str | int | float]:
    """A prediction as one flat row.

    Args:
        prediction: The prediction.

    Returns:
        File, class, probability, runner-up, size of the picture; with turned copies, how stable the class is.
    """
    best, *others = prediction.ranking
    chances, turns = prediction.probabilities.tolist(), len(prediction.turned)
    row: dict[str, str | int | float] = {
        "file": os.fsencode(prediction.path).decode("utf-8", "backslashreplace"),
        "class": prediction.classes[best],
        "probability": chances[best],
        "runner_up": prediction.classes[others[0]] if others else "",
        "runner_up_probability": chances[others[0]] if others else 0.0,
        "height": prediction.picture_size[0],
        "width": prediction.picture_size[1],
    }
    if turns > 1:
        row |= {"turns": turns, "agreeing": prediction.agreeing, "lowest_probability": prediction.lowest}
    return row


def write_csv(path: Path, predictions: Sequence[Prediction]) -> None:
    """Write predictions as a table with one line for each picture, in one step.

    Args:
        path: File to write.
        predictions: At least one.
    """
    rows = [row_of(prediction) for prediction in predictions]
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_atomically(path, text.getvalue())


def write_json(path: Path, predictions: Sequence[Prediction], facts: dict[str, Any]) -> None:
    """Write predictions with the probabilities of all classes, for each turned copy, in one step.

    Args:
        path: File to write.
        predictions: At least one.
        facts: What else shall be known, at the top of the file.
    """
    rows = [{**row_of(one), "probabilities": one.turned.tolist()} for one in predictions]
    write_atomically(path, to_json({**facts, "classes": list(predictions[0].classes), "rows": rows}))


class GrowingTable:
    """A table that grows by the predictions of each batch, so that nothing is lost when the work is stopped.

    Args:
        path: File to write; one that is there is replaced with the first batch.
    """

    def __init__(self, path: Path) -> None:
        self._path, self._begun = path, False

    def add(self, predictions: Sequence[Prediction]) -> None:
        """Write the lines of a batch.

        Args:
            predictions: At least one.
        """
        if not self._begun:
            write_csv(self._path, predictions)
            self._begun = True
            return
        rows = [row_of(prediction) for prediction in predictions]
        with self._path.open("a", encoding="utf-8", newline="") as file:
            csv.DictWriter(file, list(rows[0]), lineterminator="\n").writerows(rows)
