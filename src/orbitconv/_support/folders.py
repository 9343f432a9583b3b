"""Atomic writing of folders of results."""

import contextlib
import glob
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from orbitconv._support.files import remove_abandoned, temporary_beside
from orbitconv._support.locks import held, is_held

_OLD = ".old"


def to_json(value: Any) -> str:
    """JSON for people: indented, one flat row a line, no NaN."""
    if not isinstance(value, dict) or "rows" not in value:
        return json.dumps(value, indent=2, allow_nan=False) + "\n"
    head = json.dumps({k: v for k, v in value.items() if k != "rows"}, indent=2, allow_nan=False)
    rows = ",\n".join("    " + json.dumps(row, allow_nan=False) for row in value["rows"])
    return f'{head[:-2]},\n  "rows": [\n{rows}\n  ]\n}}\n'


def holds_files(folder: Path, what: str) -> bool:
    """Whether a folder for a result of this kind holds anything but hidden files; refuses a file in its place."""
    if folder.exists() and not folder.is_dir():
        raise NotADirectoryError(f"{folder} is a file; name a folder for the {what} with --out.")
    return folder.is_dir() and any(not path.name.startswith(".") for path in folder.iterdir())


def check_free(folder: Path, *, overwrite: bool) -> None:
    """Refuse to overwrite a result."""
    recover(folder)
    holds_files(folder, "result")
    if not overwrite and folder.is_dir() and any(folder.iterdir()):
        raise FileExistsError(
            f"{folder} holds a result already. Look at it, choose another folder with --out, or replace it with "
            "--overwrite."
        )


def recover(folder: Path) -> None:
    """Finish the replacement of a folder whose process was killed on the way.

    The new result was whole before the old one made room for it, so the new one takes the name.
    """
    if not folder.parent.is_dir():
        return
    for old in folder.parent.glob(f".{glob.escape(folder.name)}.{'[0-9a-f]' * 8}{_OLD}"):
        new = old.with_suffix(".tmp")
        if new.exists() and is_held(new):
            continue  # its process lives
        if not folder.exists():
            (new if new.exists() else old).rename(folder)
        for left in (old, new):
            shutil.rmtree(left, ignore_errors=True)


@contextlib.contextmanager
def _held_folder(folder: Path) -> Iterator[None]:
    """Hold the lock of a folder, where folders can be opened."""
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except OSError:
        yield
        return
    try:
        with held(descriptor):
            yield
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def whole_folder(folder: Path, *, overwrite: bool = False) -> Iterator[Path]:
    """Write a folder atomically: into a temporary folder beside it, which is renamed at the end.

    An error or Ctrl-C on the way leaves what was there before, and nothing else. A process that is killed while an old
    folder makes room for the new one leaves both under other names; `recover` puts the new one in place.
    """
    check_free(folder, overwrite=overwrite)
    made_parent = not folder.parent.exists()
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        remove_abandoned(folder)
        work = temporary_beside(folder)
        work.mkdir()
    except OSError as error:
        raise OSError(
            f"{folder.parent} cannot be written ({error.strerror}). Choose another folder with --out."
        ) from error
    try:
        with _held_folder(work):
            yield work
            if folder.exists():
                old = work.with_suffix(_OLD)
                folder.rename(old)
                work.rename(folder)
                shutil.rmtree(old, ignore_errors=True)
            else:
                work.rename(folder)
    finally:
        shutil.rmtree(work, ignore_errors=True)
        if made_parent:
            with contextlib.suppress(OSError):  # it holds the result
                folder.parent.rmdir()
