"""Lock files: released when their process ends, however it ends."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def lock(path: Path, *, wait: bool, shared: bool = False) -> Iterator[bool]:
    """Hold a lock within the context; a killed process releases it. Whether it was got is what the context gives.

    Where there are no such locks (Windows, some network file systems) every process gets it. The file stays; its folder
    must exist. A shared lock keeps out only those that do not share it.
    """
    try:
        import fcntl
    except ModuleNotFoundError:
        yield True
        return
    with path.open("a", encoding="utf-8") as file:
        held = True
        try:
            fcntl.flock(file, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            held = False
        except OSError:  # no locks on this file system
            pass
        yield held


@contextmanager
def held(descriptor: int) -> Iterator[None]:
    """Hold the lock of an open file or folder, as a sign that its process is alive."""
    with suppress(ModuleNotFoundError, OSError):  # no locks here
        import fcntl

        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    yield  # closing the file lets go


def is_held(path: Path) -> bool:
    """Whether a process holds the lock of a file or folder."""
    try:
        import fcntl
    except ModuleNotFoundError:
        return False
    descriptor = os.open(path, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    finally:
        os.close(descriptor)
    return False


@contextmanager
def exclusive(path: Path, folder: Path) -> Iterator[None]:
    """Hold an exclusive lock on a folder within the context."""
    with lock(path, wait=False) as held:
        if not held:
            raise BlockingIOError(
                f"{folder} is in use by another process. Wait for it, or choose another folder with --out."
            )
        yield
