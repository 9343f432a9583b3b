"""Files of predictions, written row by row; a stopped call can be resumed."""

import csv
import io
import json
import time
from collections.abc import Collection, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self, final

from orbitconv._support.appending import AppendedFile, whole_lines
from orbitconv._support.files import printable, write_atomically
from orbitconv._support.folders import to_json
from orbitconv.data import DataError
from orbitconv.prediction.predicting import Prediction

Row = dict[str, Any]
_SECONDS = 20.0
"""Between two times that a JSON file is written anew."""


def row_of(prediction: Prediction) -> dict[str, str | int | float]:
    """A prediction as one flat row.

    File, page, class, probability, runner-up, size of the picture; with turned copies, how stable the class is.
    """
    best, *others = prediction.ranking
    chances, turns = prediction.probabilities.tolist(), len(prediction.turned)
    row: dict[str, str | int | float] = {
        "file": printable(prediction.path),
        "page": prediction.page,
        "class": printable(prediction.classes[best]),
        "probability": chances[best],
        "runner_up": printable(prediction.classes[others[0]]) if others else "",
        "runner_up_probability": chances[others[0]] if others else 0.0,
        "height": prediction.picture_size[0],
        "width": prediction.picture_size[1],
    }
    if turns > 1:
        row |= {"turns": turns, "agreeing": prediction.agreeing, "lowest_probability": prediction.lowest}
    return row


@final
class PredictionFiles:
    """A CSV and a JSON file of predictions, or either: a context in which they grow.

    Lines are added to the CSV with every batch. The JSON file, which also holds the probabilities of all classes for
    each turned copy, is written anew from time to time, and when the context ends, however it ends.

    Args:
        table: The CSV file; None for none.
        full: The JSON file; None for none.
        facts: What else the JSON file shall say at its top. With `resume` they must be those of the file; those of a
            CSV must have as many `turns`.
        resume: Keep what is in the files, and add to it; else files that are there are replaced with the first batch.

    Raises:
        DataError: If a file to resume is damaged, or of other predictions.
    """

    def __init__(self, table: Path | None, full: Path | None, facts: dict[str, Any], *, resume: bool = False) -> None:
        self._full, self._facts, self._rows, self._changed = full, facts, [], False
        self._csv, self._headed = None, False
        old = _old_csv(table) if resume and table is not None else []
        rows = _old_json(full, facts) if resume and full is not None else []
        known = [{_key(row) for row in each} for path, each in ((table, old), (full, rows)) if path is not None]
        self.done: Collection[tuple[str, int]] = set.intersection(*known) if known else set()
        """Name and page of the pictures that all files hold."""
        self._rows = [row for row in rows if _key(row) in self.done]
        if table is not None:
            before, turns = int((old or [{}])[0].get("turns", 1)), facts.get("turns", 1)
            if old and before != turns:
                raise DataError(f"{table} holds predictions of {before} turns, got {turns}. Choose another file.")
            kept = [row for row in old if _key(row) in self.done]
            self._headed = bool(kept)
            self._csv = AppendedFile(table, _csv_text(kept, header=True) if kept else "")
        self._written = time.monotonic()

    def add(self, predictions: Sequence[Prediction]) -> None:
        """Write predictions; after a failure, as on a full disk, a file is as it was before."""
        rows = [row_of(one) for one in predictions]
        if self._csv is not None:
            self._csv.add(_csv_text(rows, header=not self._headed))
            self._headed = True
        if self._full is not None:
            self._rows += [
                {**row, "probabilities": one.turned.tolist()} for row, one in zip(rows, predictions, strict=True)
            ]
            self._changed = True
            if time.monotonic() - self._written > _SECONDS:
                self._write_json()

    def _write_json(self) -> None:
        if self._full is not None and self._changed:
            write_atomically(self._full, to_json({**self._facts, "rows": self._rows}))
            self._changed, self._written = False, time.monotonic()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._write_json()


def _key(row: Row) -> tuple[str, int]:
    return row["file"], int(row["page"])


def _csv_text(rows: Sequence[Row], *, header: bool) -> str:
    """Lines of a CSV."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    if header:
        writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def _old_csv(path: Path) -> list[Row]:
    """The rows of an earlier call; a last line that was cut off is left out."""
    try:
        rows = list(csv.DictReader(io.StringIO("".join(whole_lines(path))), strict=True))
        for row in rows:
            if not row["file"] or not row["page"].isdecimal() or None in row or None in row.values():
                raise ValueError("a line has other columns than its header")
    except (csv.Error, KeyError, ValueError) as error:
        raise DataError(f"{path} holds no predictions to resume ({error}). Choose another file.") from error
    return rows


def _old_json(path: Path, facts: dict[str, Any]) -> list[Row]:
    """The rows of an earlier call."""
    if not path.exists():
        return []
    try:
        content = json.loads(path.read_text("utf-8"))
        rows = content.pop("rows")
        for row in rows:
            _key(row)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise DataError(f"{path} holds no predictions to resume ({error}). Choose another file.") from error
    differing = [
        name for name in facts if name != "network" and content.get(name) != json.loads(json.dumps(facts[name]))
    ]  # a network that was moved is the same one
    if differing:
        name = differing[0]
        raise DataError(
            f"{path} holds predictions of another {name}: {content.get(name)!r}, got {facts[name]!r}. Choose another "
            "file."
        )
    return rows


def write_csv(path: Path, predictions: Sequence[Prediction]) -> None:
    """Write predictions as a table with one line for each picture, in one step."""
    write_atomically(path, _csv_text([row_of(prediction) for prediction in predictions], header=True))


def write_json(path: Path, predictions: Sequence[Prediction], facts: dict[str, Any]) -> None:
    """Write predictions with the probabilities of all classes, for each turned copy, in one step."""
    with PredictionFiles(None, path, {**facts, "classes": list(predictions[0].classes)}) as files:
        files.add(predictions)
