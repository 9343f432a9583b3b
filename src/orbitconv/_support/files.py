"""Atomic writing of files."""

import contextlib
import glob
import os
import secrets
import shutil
import tempfile
import time
from pathlib import Path

from orbitconv._support.locks import held, is_held

# Seconds for which a file that nobody has locked may still be one that is just being made.
_YOUNG = 60.0


def check_writable(path: Path | None, option: str) -> None:
    """Check before the work that a file can be written, which the user named with `option`, such as `"--out"`.

    Its folder need not be there, and is not made.
    """
    if path is None:
        return
    if path.is_dir():
        raise IsADirectoryError(f"{option} expects a file, got the folder {path}.")
    found = next(folder for folder in path.absolute().parents if folder.exists())
    if not found.is_dir():
        raise NotADirectoryError(
            f"{path.parent} cannot be written ({found} is a file). Choose another file with {option}."
        )
    made = [folder for folder in path.parents if not folder.exists()]
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path.parent):
            pass
    except OSError as error:
        raise OSError(
            f"{path.parent} cannot be written ({error.strerror}). Choose another file with {option}."
        ) from error
    finally:
        for folder in made:
            if folder.is_dir():
                folder.rmdir()


def printable(name: object) -> str:
    """A file name, or an error that names one, as text that every file and terminal takes.

    Bytes that are not valid UTF-8 become escapes.
    """
    return os.fsencode(str(name)).decode("utf-8", "backslashreplace")


def check_replaceable(path: Path, *, overwrite: bool) -> None:
    """Check before the work that `--out` can be written: a file is replaced only if the user asked for it."""
    check_writable(path, "--out")
    if path.exists() and not path.is_file():
        raise FileExistsError(f"{path} is a device. Choose another --out.")
    if path.exists() and not overwrite:
        raise FileExistsError(f"{path} exists already. Choose another --out, or replace it with --overwrite.")


def write_atomically(path: Path, content: str | bytes) -> None:
    """Write a file, and its folder if needed, in one step: a reader sees the old content or the new, never a part.

    If that fails, as on a full disk, the old file is untouched.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    remove_abandoned(path)
    work = temporary_beside(path)
    try:
        with work.open("xb") as file, held(file.fileno()):  # "x" makes it with the mode that the umask asks for
            file.write(content.encode("utf-8") if isinstance(content, str) else content)
            file.flush()
            os.fsync(file.fileno())
        work.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            work.unlink()
        raise


def temporary_beside(path: Path) -> Path:
    """A temporary name beside a file or folder, for its content until it is complete."""
    return path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")


def remove_abandoned(path: Path) -> None:
    """Remove what killed processes left beside a file or folder: its unfinished content under temporary names.

    What a process is still writing is locked, and stays; so does what is younger than a minute, as its lock may be
    about to be taken.
    """
    for left in path.parent.glob(f".{glob.escape(path.name)}.{'[0-9a-f]' * 8}.tmp"):
        with contextlib.suppress(OSError):
            if time.time() - left.stat().st_mtime > _YOUNG and not is_held(left):
                shutil.rmtree(left) if left.is_dir() else left.unlink()
