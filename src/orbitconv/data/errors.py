"""Errors about data: one for the user, one that lets the next source be tried."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class DataError(ValueError):
    """Data that is missing, damaged, or cannot be written; the message says what to do.

    Args:
        message: The message. Of what a `DataLoader` makes of an error in one of its workers, the traceback is dropped.
    """

    def __init__(self, message: str = "") -> None:
        if message.startswith("Caught ") and "Original Traceback" in message:
            message = message.rpartition(f"{type(self).__name__}: ")[2].strip()
        super().__init__(message)


class DamagedError(DataError):
    """A file that breaks the rules of its format, or ends early."""


class UnsupportedError(DataError):
    """A sound file of a kind that is not read; the message says what to do."""


class RouteError(Exception):
    """One source of the data failed; the next may work."""


@contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Turn a failed write below `folder` into a `DataError`."""
    try:
        yield
    except OSError as error:
        raise DataError(
            f"orbitconv.data expects to write to {folder}, got: {error.strerror or error}. Free some space "
            "or name another folder in ORBITCONV_CACHE; no file was left half-written."
        ) from error


def check_regular(path: Path) -> None:
    """Refuse pipes and devices, which would block; what is not there, or a folder, passes."""
    if path.exists() and not (path.is_file() or path.is_dir()):
        raise DataError(f"orbitconv.data expects a regular file at {path}, got a pipe or device. Replace it.")


def unreadable(path: Path, error: OSError) -> DataError:
    """Return the error for a file that the operating system refuses to read."""
    return DataError(
        f"orbitconv.data expects a readable file at {path}, got: {error.strerror or error}. "
        "Correct its permissions, or remove it and load the set again."
    )
