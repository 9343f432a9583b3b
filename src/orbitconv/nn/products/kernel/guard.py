"""Which compiled files may be loaded: code in a cache runs with all the rights of the user.

A file is trusted if only its user, or the administrator, can have put it there, and if it still has the checksum that
was noted beside it when it was installed. It serves any number of libraries; each has its own checksum.
"""

import hashlib
import os
import stat
from pathlib import Path

from orbitconv._support.files import write_atomically

_OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH


class UntrustedFileError(PermissionError):
    """A compiled file that somebody else could have written, or that changed since it was installed."""


def digest_of(library: Path) -> Path:
    """Where the checksum of a library is kept."""
    return library.with_name(f"{library.name}.sha256")


def install(made: Path, library: Path) -> None:
    """Move a compiled file to its place, with its checksum; after a power cut the old pair is there, or the new one.

    Cut off between the two, the pair does not fit together, and is not loaded.
    """
    with made.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        os.fsync(file.fileno())
    made.chmod(0o700)
    made.replace(library)
    write_atomically(digest_of(library), f"{digest}\n")


def private_folder(folder: Path) -> None:
    """Make a folder that nobody else may enter, or make it so."""
    _check_absolute(folder)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not folder.is_symlink() and _is_own(folder.lstat()):
        folder.chmod(0o700)
    _check_folders(folder)


def check_trusted(library: Path) -> None:
    """Refuse a compiled file that should not be loaded."""
    _check_absolute(library)
    _check_folders(library.parent)
    for path in (library, digest_of(library)):
        if not path.exists() and not path.is_symlink():
            raise UntrustedFileError(f"its checksum {path.name} is missing")
        _check_entry(path)
        if not path.is_file():  # a pipe would be waited for
            raise UntrustedFileError(f"{path.name} is no regular file")
    with library.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != digest_of(library).read_text(encoding="utf-8", errors="replace").strip():
        raise UntrustedFileError("its content does not match the checksum noted when it was built")


def _check_absolute(path: Path) -> None:
    if not path.is_absolute():
        raise UntrustedFileError(
            f"{path} depends on the working folder, and compiled files need an absolute path: set ORBITCONV_CACHE"
        )


def _check_folders(folder: Path) -> None:
    """The folder itself, and those above it: whoever may rename one of them can put another in its place."""
    _check_entry(folder)
    for above in folder.resolve().parents:
        found = above.stat()
        is_shared = bool(found.st_mode & stat.S_IWOTH) and not found.st_mode & stat.S_ISVTX
        if is_shared or not _is_own(found):
            raise UntrustedFileError(f"the folder {above} can be changed by other users")


def _check_entry(path: Path) -> None:
    found = path.lstat()
    if stat.S_ISLNK(found.st_mode):
        raise UntrustedFileError(f"{path.name} is a symbolic link")
    if not _is_own(found):
        raise UntrustedFileError(f"{path.name} belongs to another user (id {found.st_uid})")
    if os.name == "posix" and found.st_mode & _OTHERS_WRITE:
        raise UntrustedFileError(f"other users may write {path.name} (mode {stat.S_IMODE(found.st_mode):04o})")


def _is_own(found: os.stat_result) -> bool:
    """Whether an entry belongs to this user or to the administrator; other systems than POSIX do not say."""
    return os.name != "posix" or found.st_uid in {0, os.geteuid()}
