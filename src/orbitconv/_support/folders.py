"""Writing results so that nothing half-written is ever taken for a whole one."""

import contextlib
import io
import json
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Shaped

from orbitconv._support.files import write_atomically


def to_json(value: Any) -> str:
    """JSON for people: indented, one flat row a line, no NaN.

    Args:
        value: Dictionaries, lists, numbers, strings.

    Returns:
        The text, with a newline at its end.

    Raises:
        ValueError: If a number is NaN or infinite.
    """
    if not isinstance(value, dict) or "rows" not in value:
        return json.dumps(value, indent=2, allow_nan=False) + "\n"
    head = json.dumps({k: v for k, v in value.items() if k != "rows"}, indent=2, allow_nan=False)
    rows = ",\n".join("    " + json.dumps(row, allow_nan=False) for row in value["rows"])
    return f'{head[:-2]},\n  "rows": [\n{rows}\n  ]\n}}\n'


def write_arrays(path: Path, **arrays: Shaped[np.ndarray, "..."]) -> None:
    """Write arrays as one NumPy file, in one step.

    Args:
        path: File to write, ending in .npz.
        **arrays: The arrays by name.
    """
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)  # pyright: ignore[reportArgumentType]
    write_atomically(path, buffer.getvalue())


def read_arrays(path: Path) -> dict[str, Shaped[np.ndarray, "..."]]:
    """Read what `write_arrays` wrote.

    Args:
        path: The file.

    Returns:
        The arrays by name.
    """
    with np.load(path, allow_pickle=False) as arrays:
        return {name: arrays[name] for name in arrays.files}


def check_free(folder: Path, *, overwrite: bool) -> None:
    """Refuse to write where a result lies already.

    Args:
        folder: Folder that shall hold the result.
        overwrite: Whether the user asked to replace it.

    Raises:
        FileExistsError: If the folder is not empty and may not be replaced.
        NotADirectoryError: If the path is a file.
    """
    if folder.exists() and not folder.is_dir():
        raise NotADirectoryError(f"{folder} is a file; name a folder for the result with --out.")
    if not overwrite and folder.is_dir() and any(folder.iterdir()):
        raise FileExistsError(
            f"{folder} holds a result already. Look at it, choose another folder with --out, or replace it with "
            "--overwrite."
        )


@contextlib.contextmanager
def whole_folder(folder: Path, *, overwrite: bool = False) -> Iterator[Path]:
    """Fill a folder in one step: work goes to a folder beside it, which takes its place at the end.

    An error or Ctrl-C on the way leaves what was there before, and nothing else.

    Args:
        folder: Folder that shall hold the result.
        overwrite: Replace a result that is there.

    Yields:
        The folder to write into.

    Raises:
        FileExistsError: If there is a result and `overwrite` is false.
        OSError: If the folder cannot be written.
    """
    check_free(folder, overwrite=overwrite)
    made_parent = not folder.parent.exists()
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        work = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}.", suffix=".tmp"))
    except OSError as error:
        raise OSError(
            f"{folder.parent} cannot be written ({error.strerror}). Choose another folder with --out."
        ) from error
    try:
        work.chmod(0o755)
        yield work
        if folder.exists():
            old = work.with_suffix(".old")
            folder.rename(old)
            work.rename(folder)
            shutil.rmtree(old)
        else:
            work.rename(folder)
    finally:
        shutil.rmtree(work, ignore_errors=True)
        if made_parent:
            with contextlib.suppress(OSError):  # it holds the result
                folder.parent.rmdir()
