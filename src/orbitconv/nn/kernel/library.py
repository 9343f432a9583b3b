"""The compiled file: what it is called, and what it holds once loaded."""

import contextlib
import ctypes
import hashlib
import platform
import warnings
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import torch

from orbitconv.cache import cache_root

SOURCE = Path(__file__).with_name("expansion.cpp")
_ARGUMENTS = [*[ctypes.c_void_p] * 4, *[ctypes.c_int64] * 5, ctypes.c_int]
_is_on = True


@cache
def instructions() -> tuple[str, ...]:
    """What this processor is known to understand.

    Returns:
        Options of a compiler.
    """
    has_avx2 = torch.backends.cpu.get_cpu_capability() in {"AVX2", "AVX512"}
    return ("-mavx2", "-mfma") if has_avx2 else ()


def place() -> Path:
    """Where the compiled file is, or would be.

    Returns:
        A path in the user's cache whose name changes with the source and the kind of processor.
    """
    parts = (SOURCE.read_text(), platform.system(), platform.machine(), *instructions())
    key = hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]
    return cache_root() / "kernels" / f"expansion-{key}.so"


@cache
def library() -> ctypes.CDLL | None:
    """The compiled functions, loaded at the first call.

    Returns:
        The library; None if there is none.
    """
    path = place()
    if not path.is_file():
        return None
    try:
        return load(path)
    except (OSError, AttributeError) as error:
        words = f"The kernel {path} is not used: {error}. Build it anew with orbitconv build-kernel."
        warnings.warn(words, stacklevel=2)
        return None


def load(path: Path) -> ctypes.CDLL:
    """Load a compiled file.

    Args:
        path: The file.

    Returns:
        Its functions, with the types of their arguments.

    Raises:
        OSError: If it is no library for this machine.
        AttributeError: If it lacks a function.
    """
    found = ctypes.CDLL(str(path.absolute()))
    for name in ("expand", "take_back"):
        for dtype in ("float32", "float64"):
            function = getattr(found, f"{name}_{dtype}")
            function.argtypes, function.restype = _ARGUMENTS, None
    return found


def is_built() -> bool:
    """Whether there is a kernel for this machine, and it is not switched off.

    Returns:
        True if layers use it.
    """
    return _is_on and library() is not None


@contextlib.contextmanager
def switched_off() -> Iterator[None]:
    """Do without the kernel in this block, in the whole process.

    Yields:
        Nothing.
    """
    global _is_on
    before, _is_on = _is_on, False
    try:
        yield
    finally:
        _is_on = before
