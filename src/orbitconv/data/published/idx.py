"""The idx format of MNIST, compressed: a big-endian header (magic, then one size per axis), then bytes."""

import gzip
import struct
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from orbitconv.data.errors import DataError, check_regular, unreadable

UNSIGNED_BYTES = 0x08
"""Type code in the third byte of the magic number; the fourth counts the axes."""

AGAIN = "Delete the file and load the set again."


def read_idx(path: Path, shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """Read a gzip-compressed idx file of unsigned bytes, whose header must state the given shape.

    So a damaged header can never make the reader allocate what it claims.
    """
    expected = struct.pack(f">{1 + len(shape)}I", UNSIGNED_BYTES << 8 | len(shape), *shape)
    values = np.empty(shape, np.uint8)
    check_regular(path)
    try:
        with gzip.open(path) as file:
            header = file.read(len(expected))
            if header != expected:
                raise DataError(_header_message(path, header, shape))
            count = _fill(file, values.data.cast("B"))
            longer = bool(file.read(1))
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise DataError(
            f"{path.name} is damaged or truncated: expected a gzip-compressed idx file, got: {error} ({path}). {AGAIN}"
        ) from error
    except OSError as error:
        raise unreadable(path, error) from error
    if count != values.size or longer:
        got = f"more than {count}" if longer else str(count)
        raise DataError(f"{path.name} is damaged: expected {values.size} bytes of data, got {got} ({path}). {AGAIN}")
    return values


def idx_bytes(values: NDArray[np.uint8]) -> bytes:
    """Encode an array of unsigned bytes as a compressed idx file, always to the same bytes."""
    header = struct.pack(f">{1 + values.ndim}I", UNSIGNED_BYTES << 8 | values.ndim, *values.shape)
    return gzip.compress(header + values.tobytes(), compresslevel=6, mtime=0)


def _fill(file: gzip.GzipFile, view: memoryview) -> int:
    """Read into `view` until it is full or the file ends; return the number of bytes."""
    done = 0
    while done < len(view) and (count := file.readinto(view[done:])):
        done += count
    return done


def _header_message(path: Path, header: bytes, shape: tuple[int, ...]) -> str:
    """Say how a header differs from the one that belongs to `shape`."""
    magic = UNSIGNED_BYTES << 8 | len(shape)
    length = 4 + 4 * len(shape)
    if len(header) < length:
        return f"{path.name} is truncated: expected a header of {length} bytes, got {len(header)} ({path}). {AGAIN}"
    got_magic, *got = struct.unpack(f">{1 + len(shape)}I", header)
    if got_magic != magic:
        return (
            f"{path.name} is no idx file of {len(shape)} axes: expected magic 0x{magic:08x}, "
            f"got 0x{got_magic:08x} ({path}). {AGAIN}"
        )
    return f"{path.name} has the wrong size: expected {shape}, got {tuple(got)} ({path}). {AGAIN}"
