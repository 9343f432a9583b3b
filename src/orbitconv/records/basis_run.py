"""The folder of a training run: its settings, a line for each step, and a checkpoint without pickled code."""

import hashlib
import io
import json
from pathlib import Path
from types import TracebackType
from typing import IO, Any

import torch
from torch import Tensor

from orbitconv._support.files import write_atomically

Row = dict[str, int | float]

FORMAT = 1
"""Version of the checkpoint."""


class TrainingFolder:
    """A folder that a run writes to as it goes, and that a later run can go on from.

    The checkpoint is replaced in one step. When a run is cut off, lines may be ahead of it; resuming drops them.

    Args:
        folder: The folder.
        identity: Everything that decides the outcome, as JSON can hold it; kept in `config.json`.
        resume: Go on from what is there.
        tensorboard: Write TensorBoard event files too.

    Raises:
        FileExistsError: If there is a record and `resume` is false.
        ModuleNotFoundError: If TensorBoard is asked for and not installed.
        NotADirectoryError: If the path is a file.
        ValueError: If the record that is there is of another run.
    """

    def __init__(self, folder: Path, identity: dict[str, Any], *, resume: bool, tensorboard: bool) -> None:
        if folder.exists() and not folder.is_dir():
            raise NotADirectoryError(f"{folder} is a file; name a folder for the record of the training.")
        if not resume and folder.is_dir() and any(folder.iterdir()):
            raise FileExistsError(
                f"{folder} is not empty. Go on from the record in it with resume=True, or choose another folder."
            )
        self._checkpoint, self._lines = folder / "checkpoint.pt", MetricLines(folder, tensorboard=tensorboard)
        config = folder / "config.json"
        if config.exists():
            check_same(json.loads(config.read_text(encoding="utf-8")), json.loads(json.dumps(identity)), folder)
        else:
            write_atomically(config, json.dumps(identity, indent=2, allow_nan=False) + "\n")

    def load(self, device: torch.device) -> tuple[dict[str, Any] | None, list[Row]]:
        """The last checkpoint and the lines up to it; lines beyond it are dropped from the file.

        Args:
            device: Where tensors shall go.

        Returns:
            The state, or None if there is none yet, and one row for each step up to it.

        Raises:
            ValueError: If the checkpoint is of another version, damaged, or lacks its lines.
        """
        state = None
        if self._checkpoint.exists():
            try:
                state = torch.load(self._checkpoint, map_location=device, weights_only=True)
            except Exception as error:
                raise ValueError(
                    f"{self._checkpoint} cannot be read as a checkpoint: {error}. Start again in another folder."
                ) from error
            if state.get("format") != FORMAT:
                raise ValueError(
                    f"{self._checkpoint} has format {state.get('format')}, this version reads format {FORMAT}."
                )
        return state, self._lines.keep(0 if state is None else state["step"])

    def add(self, row: Row) -> None:
        """Write the line of one step.

        Args:
            row: Its figures.
        """
        self._lines.add(row)

    def save(self, state: dict[str, object]) -> None:
        """Write a checkpoint, after all lines up to it.

        Args:
            state: Tensors, numbers, strings, and dictionaries and lists of them.
        """
        self._lines.flush()
        buffer = io.BytesIO()
        torch.save({"format": FORMAT, **state}, buffer)
        write_atomically(self._checkpoint, buffer.getvalue())

    def __enter__(self) -> "TrainingFolder":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._lines.close()


class MetricLines:
    """A file of JSON lines, one for each step or epoch, and TensorBoard event files beside it if they are wanted.

    Args:
        folder: Folder for `metrics.jsonl` and the event files.
        tensorboard: Whether to write event files.

    Raises:
        ModuleNotFoundError: If TensorBoard is asked for and not installed.
    """

    def __init__(self, folder: Path, *, tensorboard: bool) -> None:
        self._path, self._writer_type = folder / "metrics.jsonl", _summary_writer() if tensorboard else None
        self._writer: Any = None
        self._file: IO[str] | None = None

    def keep(self, count: int) -> list[Row]:
        """Keep the first lines, drop those after them, and get ready for more.

        Args:
            count: How many to keep: as many as belong to the checkpoint.

        Returns:
            The lines that are kept.

        Raises:
            ValueError: If there are fewer, or one is damaged.
        """
        lines = self._path.read_text(encoding="utf-8").splitlines() if self._path.exists() else []
        if len(lines) < count:
            raise ValueError(
                f"{self._path} has {len(lines)} lines, the checkpoint beside it needs {count}. Start again in another "
                "folder."
            )
        rows = [json.loads(line) for line in lines[:count]]
        write_atomically(self._path, "".join(json.dumps(row) + "\n" for row in rows))
        self._file = self._path.open("a", encoding="utf-8")
        if self._writer_type is not None:  # it makes a file at once, which a record that is refused must not get
            again = {"purge_step": int(rows[-1]["step"]) + 1} if rows else {}
            self._writer = self._writer_type(str(self._path.parent), **again)
        return rows

    def add(self, row: Row) -> None:
        """Write a line.

        Args:
            row: Its figures; TensorBoard draws them over the one named "step".
        """
        if self._file is not None:
            self._file.write(json.dumps(row, allow_nan=False) + "\n")
        if self._writer is not None:
            for name, value in row.items():
                if name != "step":
                    self._writer.add_scalar(name, value, int(row["step"]))

    def flush(self) -> None:
        """Let all lines reach the file."""
        if self._file is not None:
            self._file.flush()

    def close(self) -> None:
        """Close the files."""
        if self._file is not None:
            self._file.close()
        if self._writer is not None:
            self._writer.close()


def fingerprint(tensor: Tensor) -> str:
    """A checksum of shape, dtype and values.

    Args:
        tensor: Any tensor.

    Returns:
        SHA-256 in hexadecimal digits.
    """
    digest = hashlib.sha256(f"{tensor.dtype} {tuple(tensor.shape)}".encode())
    digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def flat_settings(settings: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested settings side by side.

    Args:
        settings: Settings, some of them dictionaries of settings.
        prefix: What stands before every name.

    Returns:
        Settings by names such as training.epochs.
    """
    flat: dict[str, Any] = {}
    for name, value in settings.items():
        flat |= flat_settings(value, f"{prefix}{name}.") if isinstance(value, dict) else {prefix + name: value}
    return flat


def check_same(found: dict[str, Any], wanted: dict[str, Any], folder: Path) -> None:
    """Refuse to go on with another run's record.

    Args:
        found: Settings of the record, with those under "config" as if beside it.
        wanted: Settings of this run.
        folder: Where the record is.

    Raises:
        ValueError: If they differ; says where.
    """
    flat_found, flat_wanted = (flat_settings({**d, **d.get("config", {})}) for d in (found, wanted))
    names = sorted(name for name in flat_wanted.keys() | flat_found.keys() if not name.startswith("config."))
    different = [name for name in names if flat_found.get(name) != flat_wanted.get(name)]
    if different:
        name = different[0]
        raise ValueError(
            f"{folder} holds the record of another run: {', '.join(different)} differ ({name}: {flat_found.get(name)} "
            f"there, {flat_wanted.get(name)} here). Use its settings, or choose another folder."
        )


def _summary_writer() -> Any:
    """The class of TensorBoard's writer, if it is installed."""
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise ModuleNotFoundError(
            "TensorBoard files were asked for, and tensorboard is not installed. Install it with the extra 'train': "
            "pip install 'orbitconv[train]'."
        ) from error
    return SummaryWriter
