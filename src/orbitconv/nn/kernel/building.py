"""From the source to the compiled file."""

import os
import shlex
import shutil
import subprocess
import tempfile
from pathlib import Path

import torch

from orbitconv.groups import Dihedral
from orbitconv.nn.kernel.library import SOURCE, instructions, library, load, place
from orbitconv.nn.kernel.ops import call, expand_by_index, take_back_by_index

_COMPILERS = ("c++", "g++", "clang++")
_OPTIONS = ("-O3", "-std=c++17", "-shared", "-fPIC")
_THREADS = "-fopenmp"


def build() -> Path:
    """Compile the kernel for this machine, in seconds, in place of one that is there.

    Layers use it at once, in this process and in later ones.

    Returns:
        The file, in the user's cache (`ORBITCONV_CACHE` moves it).

    Raises:
        FileNotFoundError: If there is no C++ compiler.
        OSError: If it fails, or the cache cannot be written.
        ArithmeticError: If what it made computes other numbers than torch.
    """
    path = place()
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        made = Path(folder, path.name)
        _compile(made)
        _check(made)
        made.replace(path)
    library.cache_clear()
    return path


def remove() -> list[Path]:
    """Delete every kernel in the user's cache, those of other versions and processors too.

    Processes that run go on with what they have loaded.

    Returns:
        The files that were deleted.
    """
    found = sorted(place().parent.glob("expansion-*.so"))
    for path in found:
        path.unlink(missing_ok=True)
    library.cache_clear()
    return found


def _compile(path: Path) -> None:
    """Compile with threads, or without where the compiler has none."""
    command = [*_compiler(), *_OPTIONS, *instructions(), str(SOURCE), "-o", str(path)]
    done = None
    for options in ([_THREADS], []):
        done = subprocess.run([*command, *options], capture_output=True, text=True, check=False)
        if done.returncode == 0:
            return
    said = "\n".join(done.stderr.strip().splitlines()[-5:]) if done else ""
    raise OSError(f"The compiler failed: {shlex.join(command)}\n{said}")


def _compiler() -> list[str]:
    """The compiler's name, and options the user has put beside it."""
    if chosen := shlex.split(os.environ.get("CXX", "")):
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


def _check(path: Path) -> None:
    """Refuse what computes other numbers than torch does."""
    made, group = load(path), Dihedral(3)
    source, target = (torch.tensor(table.tolist(), device="cpu") for table in (group.quotient, group.product))
    generator = torch.Generator().manual_seed(0)
    for dtype, most in ((torch.float32, 1e-4), (torch.float64, 1e-12)):
        for num_atoms, kernel in ((3, 2), (9, 3), (20, 5)):
            coefficients, atoms = (
                torch.randn(*sizes, dtype=dtype, device="cpu", generator=generator)
                for sizes in ((5, 4, group.order, num_atoms), (group.order, num_atoms, kernel, kernel))
            )
            weight = expand_by_index(coefficients, atoms, source)
            back = take_back_by_index(weight, atoms, target)
            for name, first, table, expected in (
                ("expand", coefficients, source, weight),
                ("take_back", weight, target, back),
            ):
                found = call(made, name, first, atoms, table, torch.full_like(expected, torch.nan), (5, 4))
                error = ((found - expected).norm() / expected.norm()).item()
                if not error <= most:
                    raise ArithmeticError(
                        f"The kernel that was compiled is wrong: {name} in {dtype} is off by {error:.1e}. Try another "
                        "compiler: name it in CXX."
                    )
