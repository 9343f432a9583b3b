"""From the source to the compiled file."""

import ctypes
import os
import shlex
import shutil
import subprocess
import tempfile
import warnings
from itertools import product
from pathlib import Path

import torch

from orbitconv.groups import Cyclic, Dihedral
from orbitconv.nn.products.kernel.checking import check_fused, check_planes, wrong
from orbitconv.nn.products.kernel.guard import digest_of, install, private_folder
from orbitconv.nn.products.kernel.library import (
    FUSED_SOURCE,
    PLANES_SOURCE,
    SOURCE,
    forget,
    instructions,
    load,
    place,
    use,
)
from orbitconv.nn.products.kernel.ops import call, expand_by_index, take_back_by_index
from orbitconv.nn.products.turning import turning_of

_COMPILERS = ("c++", "g++", "clang++")
_OPTIONS = ("-O3", "-std=c++17", "-shared", "-fPIC")
_THREADS = "-fopenmp"


def build() -> Path:
    """Compile the kernel for this machine, in seconds, in place of one that is there.

    Layers use it at once, in this process and in later ones.
    """
    path = place()
    private_folder(path.parent)
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        made = Path(folder, path.name)
        _compile(made)
        library = load(made)
        _check(library)
        check_fused(library)
        check_planes(library)
        install(made, path)
    use(library)  # and not one that was loaded from this place before
    return path


def remove() -> list[Path]:
    """Delete every kernel in the user's cache, those of other versions and processors too.

    Running processes keep the kernel that they have loaded.
    """
    found = sorted(place().parent.glob("expansion-*.so"))
    for path in found:
        path.unlink(missing_ok=True)
        digest_of(path).unlink(missing_ok=True)
    forget()
    return found


def _compile(path: Path) -> None:
    """Compile with threads, or without where the compiler has none."""
    sources = map(str, (SOURCE, FUSED_SOURCE, PLANES_SOURCE))
    command = [*_compiler(), *_OPTIONS, *instructions(), f"-I{SOURCE.parent}", *sources, "-o", str(path)]
    if _run([*command, _THREADS]).returncode == 0:
        return
    done = _run(command)
    if done.returncode:
        said = "\n".join(done.stderr.strip().splitlines()[-5:])
        raise OSError(f"The compiler failed: {shlex.join(command)}\n{said}")
    words = f"{command[0]} knows no {_THREADS}: the kernel runs on one thread. Another compiler can be named in CXX."
    warnings.warn(words, stacklevel=3)


def _run(command: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, check=False)


def _compiler() -> list[str]:
    """The compiler's name, and options the user has put beside it."""
    words = os.environ.get("CXX", "")
    try:
        chosen = shlex.split(words)
    except ValueError as error:
        raise ValueError(f"CXX is the command of a C++ compiler, got {words!r}: {error}") from None
    if chosen:
        if shutil.which(chosen[0]) is None:
            raise FileNotFoundError(f"The kernel needs a C++ compiler; CXX names {chosen[0]!r}, which is not there.")
        return chosen
    for name in _COMPILERS:
        if shutil.which(name) is not None:
            return [name]
    raise FileNotFoundError(
        f"The kernel needs a C++ compiler, and none of {', '.join(_COMPILERS)} is there. Install one (such as the "
        "package g++), or name one in CXX. Layers work without the kernel."
    )


def _check(library: ctypes.CDLL) -> None:
    """Refuse what computes other numbers than torch does, in tiles of eight, four and one rows, on two threads."""
    generator = torch.Generator().manual_seed(0)
    for group, (num_atoms, side), dtype in product(
        (Cyclic(13), Dihedral(4)), ((3, 2), (6, 3), (9, 3), (20, 5)), (torch.float32, torch.float64)
    ):
        turning = turning_of(group)
        coefficients, atoms = (
            torch.randn(*sizes, dtype=dtype, device="cpu", generator=generator)
            for sizes in ((3, 2, group.order, num_atoms), (group.order, num_atoms, side, side))
        )
        weight = expand_by_index(coefficients, atoms, turning.source)
        back = take_back_by_index(weight, atoms, turning.target)
        tests = (("expand", coefficients, turning.source, weight), ("take_back", weight, turning.target, back))
        for (name, first, table, expected), threads in product(tests, (1, 2)):
            found = torch.full_like(expected, torch.nan)
            call(library, name, first, atoms, table, found, (3, 2), threads)
            error = ((found - expected).norm() / expected.norm()).item()
            if not error <= (1e-5 if dtype == torch.float32 else 1e-13):
                raise wrong(f"{name} in {dtype} is off by {error:.1e}")
