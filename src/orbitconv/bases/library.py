"""Bases that come with the package, learned from CIFAR-10's training images."""

import re
from pathlib import Path

from orbitconv._support.checks import did_you_mean
from orbitconv.bases.files import TabulatedBasis, read_basis

FOLDER = Path(__file__).parent / "library_files"


def list_bases() -> list[str]:
    """Names of the bases that come with the package.

    Returns:
        Names such as "spectral-c8-k5" and "unitary-d8-k3", sorted.
    """
    return sorted(path.stem for path in FOLDER.glob("*.safetensors"))


def load_basis(name: str | Path, dimension: int | None = None) -> TabulatedBasis:
    """Load a basis by its name, or from a file.

    Args:
        name: Name from `list_bases`, optionally with the dimension, as in "spectral-c8-k5-d11"; or the path of a file
            that `save_basis` wrote, ending in ".safetensors".
        dimension: Number of atoms to keep. By default a spectral basis keeps the number its file recommends, the
            dimension of the circular harmonics of its size (6, 11, 18 for 3x3, 5x5, 7x7), and others keep all.

    Returns:
        The basis, with its metadata: family, data, errors and angular frequencies of the atoms.

    Raises:
        ValueError: If there is no basis of this name (suggests the nearest), it cannot be cut there, two dimensions
            are asked for, or its file is damaged.
    """
    name = str(name)
    if name.endswith(".safetensors"):
        return read_basis(Path(name), dimension)
    match = re.fullmatch(r"(.+)-d(\d+)", name)
    stem, asked = (match[1], int(match[2])) if match and match[1] in list_bases() else (name, dimension)
    if dimension not in (None, asked):
        raise ValueError(
            f"load_basis expects one dimension, got {asked} in the name {name!r} and {dimension} beside it."
        )
    path = FOLDER / f"{stem}.safetensors"
    if stem not in list_bases():
        hint = did_you_mean(stem, list_bases(), most=3) or " See list_bases()."
        raise ValueError(f"There is no basis named {name!r} in the package.{hint}")
    if asked is None:
        asked = read_basis(path).metadata.get("recommended_dimension")
    return read_basis(path, asked)
