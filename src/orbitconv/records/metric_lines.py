"""The metrics of a run: one line for each step or epoch, and TensorBoard event files on request."""

from pathlib import Path
from typing import IO, Any

from orbitconv._support.files import write_atomically
from orbitconv._support.optional import install_hint
from orbitconv.records.lines import checked_line, parse_line

Row = dict[str, int | float]

METRICS = "metrics.jsonl"
"""Name of the file."""


class MetricLines:
    """The metrics file of a run, open for writing, and TensorBoard's event files if asked for."""

    def __init__(self, folder: Path, *, tensorboard: bool) -> None:
        self._path, self._writer_type = folder / METRICS, _summary_writer() if tensorboard else None
        self._writer: Any = None
        self._file: IO[str] | None = None

    def keep(self, count: int) -> list[Row]:
        """Keep the lines that belong to the checkpoint, drop those after them, and open the file for more."""
        lines = self._path.read_text(encoding="utf-8").splitlines() if self._path.exists() else []
        if len(lines) < count:
            raise ValueError(
                f"{self._path} has {len(lines)} lines, the checkpoint beside it needs {count}. Start again in another "
                "folder."
            )
        rows = [parse_line(line, f"{self._path}, line {n}") for n, line in enumerate(lines[:count], start=1)]
        write_atomically(self._path, "".join(map(checked_line, rows)))
        self._file = self._path.open("a", encoding="utf-8")
        if self._writer_type is not None:  # it makes a file at once, which a refused folder must not get
            again = {"purge_step": int(rows[-1]["step"]) + 1} if rows else {}
            self._writer = self._writer_type(str(self._path.parent), **again)
        return rows

    def add(self, row: Row) -> None:
        """Write a line."""
        if self._file is not None:
            self._file.write(checked_line(row))
        if self._writer is not None:
            for name, value in row.items():
                if name != "step":
                    self._writer.add_scalar(name, value, int(row["step"]))

    def flush(self) -> None:
        """Flush all lines to the file."""
        if self._file is not None:
            self._file.flush()

    def close(self) -> None:
        """Close the files."""
        if self._file is not None:
            self._file.close()
        if self._writer is not None:
            self._writer.close()


def read_metrics(folder: Path) -> list[Row]:
    """The metrics of a run so far; the last line may be cut off, if the run is still writing it."""
    path = folder / METRICS
    lines = path.read_text(encoding="utf-8").split("\n") if path.exists() else [""]
    return [parse_line(line, f"{path}, line {n}") for n, line in enumerate(lines[:-1], start=1)]


def _summary_writer() -> Any:
    """The class of TensorBoard's writer, if it is installed."""
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise ModuleNotFoundError(
            f"TensorBoard files were asked for, and tensorboard is not installed: {install_hint('train')}."
        ) from error
    return SummaryWriter
