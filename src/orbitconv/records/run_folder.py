"""The folder of a run: its settings, a line for each step or epoch, its last checkpoint, and a lock while it runs."""

import json
from collections.abc import Collection, Mapping
from contextlib import ExitStack, nullcontext, suppress
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Any

from orbitconv._support.files import write_atomically
from orbitconv._support.folders import holds_files
from orbitconv._support.json_text import read_json
from orbitconv._support.locks import exclusive
from orbitconv.records.checkpoint import Checkpoint, read_checkpoint, write_checkpoint
from orbitconv.records.metric_lines import METRICS as METRICS
from orbitconv.records.metric_lines import MetricLines
from orbitconv.records.metric_lines import Row as Row
from orbitconv.records.settings import check_same, file_digest

CONFIG, INPUTS, CHECKPOINTS = "config.json", "inputs.json", "checkpoints"
"""Names of the files of settings and of fingerprints of what a run reads, and of the folder of checkpoints."""

_LOCK = ".lock"


def check_begun(folder: Path, *, resume: bool) -> None:
    """Refuse a folder in which a run can neither begin nor resume, before any work is done."""
    begun = holds_files(folder, "training")
    if (folder / _LOCK).exists():
        with exclusive(folder / _LOCK, folder):  # in use says more than not empty
            pass
    if not resume and begun:
        raise FileExistsError(
            f"{folder} is not empty. Resume the training in it with --resume (resume=True), or choose another folder "
            "with --out."
        )


class RunFolder:
    """A folder that one run at a time writes to, and that a later run can resume; use it as a context.

    Settings, as JSON can hold them, are stored in `config.json`; those named `changeable` may differ when a run is
    resumed. Of the input files, by name, the SHA-256 is stored in `inputs.json`.

    Raises:
        BlockingIOError: If another process works in the folder.
        FileExistsError: If something is there and `resume` is false.
        ModuleNotFoundError: If TensorBoard is requested and not installed.
        NotADirectoryError: If the path is a file.
        OSError: If it cannot be written.
        ValueError: If what is there is of a run with other settings, or an input has changed since.
    """

    def __init__(
        self,
        folder: Path,
        settings: Mapping[str, Any],
        *,
        resume: bool,
        changeable: Collection[str] = (),
        inputs: Mapping[str, Path] = MappingProxyType({}),
        tensorboard: bool = False,
    ) -> None:
        check_begun(folder, resume=resume)
        wanted = json.loads(json.dumps(dict(settings), allow_nan=False))
        digests = {name: file_digest(path) for name, path in inputs.items()}
        self._lines = MetricLines(folder, tensorboard=tensorboard)
        with ExitStack() as stack:
            folder.mkdir(parents=True, exist_ok=True)
            stack.enter_context(exclusive(folder / _LOCK, folder))
            stack.callback(self._lines.close)
            for cut_off in folder.glob(".*.tmp"):
                cut_off.unlink()
            if resume:
                _check_resumable(folder, wanted, digests, changeable)
            write_atomically(folder / CONFIG, json.dumps(wanted, indent=2) + "\n")
            if digests:
                write_atomically(folder / INPUTS, json.dumps(digests, indent=2) + "\n")
            self._open = stack.pop_all()
        self.path = folder

    def load(self, steps_per_line: int = 1) -> tuple[Checkpoint | None, list[Row]]:
        """The last checkpoint and the lines up to it; later lines, of a killed run, are dropped.

        The steps between two lines tell how many of them belong to a checkpoint.
        """
        checkpoint = self.checkpoint()
        return checkpoint, self._lines.keep(0 if checkpoint is None else checkpoint.step // steps_per_line)

    def checkpoint(self) -> Checkpoint | None:
        """The last checkpoint."""
        return read_checkpoint(self.path / CHECKPOINTS)

    @property
    def has_checkpoint(self) -> bool:
        """Whether there is a checkpoint to resume from."""
        return has_checkpoint(self.path)

    def add(self, row: Row) -> None:
        """Write the line of one step or epoch."""
        self._lines.add(row)

    def save(self, checkpoint: Checkpoint) -> None:
        """Write a checkpoint, after all lines up to it; if that fails, as on a full disk, the one before it stays."""
        try:
            self._lines.flush()
            write_checkpoint(self.path / CHECKPOINTS, checkpoint)
        except OSError as error:
            before = "; the one before it is whole" if self.has_checkpoint else ""
            raise OSError(
                f"The checkpoint of step {checkpoint.step} could not be written to {self.path} "
                f"({error.strerror or error}){before}. Free some space, then resume with --resume."
            ) from error

    def __enter__(self) -> "RunFolder":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with suppress(OSError) if error else nullcontext():  # what went wrong first is what the user shall see
            self._open.close()


def has_checkpoint(folder: Path) -> bool:
    """Whether the folder of a run holds a checkpoint."""
    return any((folder / CHECKPOINTS).glob("step-*"))


def _check_resumable(
    folder: Path, wanted: dict[str, Any], digests: dict[str, str], changeable: Collection[str]
) -> None:
    """Refuse to resume a run of other settings or on other files."""
    if not (folder / CONFIG).exists():
        return
    found = _read(folder / CONFIG)
    before, now = ({name: one[name] for name in one if name not in changeable} for one in (found, wanted))
    check_same(before, now, folder)
    kept = _read(folder / INPUTS) if (folder / INPUTS).exists() else {}
    for name in kept.keys() & digests.keys():
        if kept[name] != digests[name]:
            raise ValueError(
                f"{folder} holds a run whose file for {name} has changed since it began. Restore that file, or start "
                "again in another folder."
            )


def _read(path: Path) -> dict[str, Any]:
    """A JSON object in a file."""
    try:
        return dict(read_json(path))
    except (ValueError, TypeError) as error:
        raise ValueError(f"{path} is damaged: {error}. Start again in another folder.") from error
