"""The compiled file: what it is called, and what it holds once loaded."""

import contextlib
import ctypes
import hashlib
import platform
import threading
import warnings
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import torch

from orbitconv._support.cache import cache_root
from orbitconv.nn.products.kernel.fused import declare
from orbitconv.nn.products.kernel.guard import check_trusted

SOURCE = Path(__file__).with_name("expansion.cpp")
FUSED_SOURCE = Path(__file__).with_name("fused.cpp")
PLANES_SOURCE = Path(__file__).with_name("planes.cpp")
_HEADERS = [Path(__file__).with_name(f"{name}.hpp") for name in ("vectors", "transforms", "matrices", "storage")]
_INSTRUCTIONS = {
    "AVX2": ("-mavx2", "-mfma"),
    "AVX512": ("-mavx2", "-mfma", "-mavx512f", "-mavx512dq", "-mavx512bw", "-mavx512vl"),
}
_ARGUMENTS = [*[ctypes.c_void_p] * 4, *[ctypes.c_int64] * 5, ctypes.c_int]
_PLANES_ARGUMENTS = [*[ctypes.c_void_p] * 2, *[ctypes.c_int64] * 4]


class _State:
    """What this process knows of the kernel."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.is_known = False
        self.library: ctypes.CDLL | None = None
        self.switched_off = 0


_STATE = _State()


@cache
def instructions() -> tuple[str, ...]:
    """What this processor is known to understand."""
    return _INSTRUCTIONS.get(torch.backends.cpu.get_cpu_capability(), ())


def place() -> Path:
    """Where the compiled file is, or would be."""
    sources = (path.read_text() for path in (SOURCE, FUSED_SOURCE, PLANES_SOURCE, *_HEADERS))
    parts = (*sources, platform.system(), platform.machine(), *instructions())
    key = hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]
    return cache_root() / "kernels" / f"expansion-{key}.so"


def library() -> ctypes.CDLL | None:
    """The compiled functions, looked for at the first call."""
    if not _STATE.is_known:
        with _STATE.lock:
            if not _STATE.is_known:
                use(_find())
    return _STATE.library


def use(found: ctypes.CDLL | None) -> None:
    """Let layers use these functions from now on."""
    with _STATE.lock:
        _STATE.library, _STATE.is_known = found, True


def forget() -> None:
    """Look for the file anew when it is next asked for."""
    with _STATE.lock:
        _STATE.library, _STATE.is_known = None, False


def _find() -> ctypes.CDLL | None:
    try:
        path = place()
    except (OSError, RuntimeError):  # no home: layers work without
        return None
    try:
        path.lstat()
        check_trusted(path)
        return load(path)
    except (FileNotFoundError, NotADirectoryError):
        if any(path.parent.glob("expansion-*.so")):
            words = f"The kernels in {path.parent} are of another processor or version of orbitconv, and are not used"
            warnings.warn(f"{words}. Build one with orbitconv build-kernel.", stacklevel=2)
    except (OSError, AttributeError) as error:
        words = f"The kernel {path} is not used: {error}. Build it anew with orbitconv build-kernel"
        warnings.warn(f"{words} (ORBITCONV_CACHE names its folder).", stacklevel=2)
    return None


def load(path: Path) -> ctypes.CDLL:
    """Load a compiled file."""
    found = ctypes.CDLL(str(path.absolute()))
    for name in ("expand", "take_back"):
        for dtype in ("float32", "float64"):
            function = getattr(found, f"{name}_{dtype}")
            function.argtypes, function.restype = _ARGUMENTS, None
    for name in ("max_pool", "blur_pool", "upsample"):
        function = getattr(found, name)
        function.argtypes, function.restype = _PLANES_ARGUMENTS, None
    return declare(found)


def is_built() -> bool:
    """Whether there is a kernel for this machine, and it is not switched off."""
    return not _STATE.switched_off and library() is not None


@contextlib.contextmanager
def switched_off() -> Iterator[None]:
    """Do without the kernel in this block, in the whole process."""
    with _STATE.lock:
        _STATE.switched_off += 1
    try:
        yield
    finally:
        with _STATE.lock:
            _STATE.switched_off -= 1
