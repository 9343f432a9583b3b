"""Arrays that figures are drawn from, stored in one NumPy file, which is written atomically."""

import io
import zipfile
from pathlib import Path

import numpy as np
from jaxtyping import Shaped

from orbitconv._support.files import write_atomically


def write_arrays(path: Path, **arrays: Shaped[np.ndarray, "..."]) -> None:
    """Write named arrays to an .npz file, atomically."""
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)  # pyright: ignore[reportArgumentType]
    write_atomically(path, buffer.getvalue())


def read_arrays(path: Path, *names: str) -> list[Shaped[np.ndarray, "..."]]:
    """Read named arrays; a damaged file or a missing array raises ValueError."""
    try:
        with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as arrays:
            return [arrays[name] for name in names]
    except FileNotFoundError:
        raise
    except (zipfile.BadZipFile, OSError, EOFError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise ValueError(f"{path} is damaged ({error}). Remove its folder, and run the study again.") from error
