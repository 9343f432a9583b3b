"""The folder of a training: its settings, a line for each epoch, its last checkpoint, and a lock while it runs."""

import json
from collections.abc import Collection
from contextlib import ExitStack, nullcontext, suppress
from pathlib import Path
from types import TracebackType
from typing import Any

from torch import Tensor

from orbitconv._support.files import write_atomically
from orbitconv._support.locks import alone
from orbitconv.records.basis_run import MetricLines, Row, check_same
from orbitconv.records.checkpoint import Checkpoint, read_checkpoint, write_checkpoint

CONFIG = "config.json"
"""Name of the file of settings."""

_LOCK, _CHECKPOINTS = ".lock", "checkpoints"


class RunFolder:
    """A folder that one training at a time writes to, and that a later one can go on from; use it as a context.

    Args:
        folder: The folder; it is made if needed.
        settings: The settings, as JSON can hold them; kept in `config.json`.
        resume: Go on from what is there, if there is anything.
        changeable: Names of settings that may differ when a training goes on.
        tensorboard: Write TensorBoard event files too.

    Raises:
        BlockingIOError: If another process works in the folder.
        FileExistsError: If something is there and `resume` is false.
        ModuleNotFoundError: If TensorBoard is asked for and not installed.
        NotADirectoryError: If the path is a file.
        OSError: If it cannot be written.
        ValueError: If what is there is of a training with other settings.
    """

    def __init__(
        self,
        folder: Path,
        settings: dict[str, Any],
        *,
        resume: bool,
        changeable: Collection[str] = (),
        tensorboard: bool = False,
    ) -> None:
        if folder.exists() and not folder.is_dir():
            raise NotADirectoryError(f"{folder} is a file; name a folder for the training with --out.")
        config = folder / CONFIG
        if (folder / _LOCK).exists():
            with alone(folder / _LOCK, folder):  # in use says more than not empty
                pass
        if not resume and folder.is_dir() and any(not path.name.startswith(".") for path in folder.iterdir()):
            raise FileExistsError(
                f"{folder} is not empty. Go on with the training in it with --resume, or choose another folder with "
                "--out."
            )
        wanted = json.loads(json.dumps(settings, allow_nan=False))
        self._lines = MetricLines(folder, tensorboard=tensorboard)
        with ExitStack() as stack:
            folder.mkdir(parents=True, exist_ok=True)
            stack.enter_context(alone(folder / _LOCK, folder))
            stack.callback(self._lines.close)
            for cut_off in folder.glob(".*.tmp"):
                cut_off.unlink()
            if resume and config.exists():
                found = json.loads(config.read_text(encoding="utf-8"))
                check_same(_without(found, changeable), _without(wanted, changeable), folder)
            write_atomically(config, json.dumps(wanted, indent=2) + "\n")
            self._open = stack.pop_all()
        self.path = folder

    def load(self, rows_of: int | None = None) -> tuple[Checkpoint | None, list[Row]]:
        """The last checkpoint and the lines up to it; lines beyond it are dropped.

        Args:
            rows_of: Steps between two lines, which tells how many lines belong to a checkpoint.

        Returns:
            The checkpoint, or None if there is none yet, and the lines.
        """
        checkpoint = read_checkpoint(self.path / _CHECKPOINTS)
        count = 0 if checkpoint is None else checkpoint.step // (rows_of or 1)
        return checkpoint, self._lines.keep(count)

    @property
    def has_checkpoint(self) -> bool:
        """Whether there is one to go on from."""
        return any((self.path / _CHECKPOINTS).glob("step-*"))

    def weights(self) -> dict[str, Tensor] | None:
        """The weights in the last checkpoint.

        Returns:
            Tensors by name; None if there is no checkpoint.
        """
        checkpoint = read_checkpoint(self.path / _CHECKPOINTS)
        return None if checkpoint is None else checkpoint.weights

    def add(self, row: Row) -> None:
        """Write the line of one epoch.

        Args:
            row: Its figures.
        """
        self._lines.add(row)

    def save(self, checkpoint: Checkpoint) -> None:
        """Write a checkpoint, after all lines up to it.

        Args:
            checkpoint: What to write.

        Raises:
            OSError: If it cannot be written, as on a full disk; the one before it is then still there.
        """
        try:
            self._lines.flush()
            write_checkpoint(self.path / _CHECKPOINTS, checkpoint)
        except OSError as error:
            before = "; the one before it is whole" if self.has_checkpoint else ""
            raise OSError(
                f"The checkpoint of step {checkpoint.step} could not be written to {self.path} "
                f"({error.strerror or error}){before}. Free some space, then go on with --resume."
            ) from error

    def __enter__(self) -> "RunFolder":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with suppress(OSError) if error else nullcontext():  # what went wrong first is what the user shall see
            self._open.close()


def _without(settings: dict[str, Any], names: Collection[str]) -> dict[str, Any]:
    return {name: value for name, value in settings.items() if name not in names}
