"""The bases that `show-basis` draws: from the library, from files, or built for the occasion."""

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from orbitconv._support.checks import did_you_mean
from orbitconv._support.progress import ProgressCallback
from orbitconv.bases import (
    BilinearBasis,
    ExactBasis,
    FilterBasis,
    GaussianBasis,
    HarmonicBasis,
    NearestBasis,
    TabulatedBasis,
    UnitaryBasis,
    list_bases,
    load_basis,
    read_basis,
)
from orbitconv.bases.library import FOLDER
from orbitconv.data import load
from orbitconv.figures.basis_figures import Spectrum
from orbitconv.groups import Group
from orbitconv.learn import Moments, measure_moments
from orbitconv.learn_basis import fit

FAMILIES = ("exact", "nearest", "bilinear", "gaussian", "harmonic", "unitary", "spectral")
"""Families that have a name here, in the order in which they are drawn."""

# CIFAR-10 training images for a basis that the library does not hold.
_FIT_IMAGES = 2000


@dataclass(frozen=True)
class Shown:
    """A basis among others.

    Args:
        key: What files about it are called.
        name: What a reader calls it.
        family: Its family.
        basis: The basis.
        spectrum: Errors and frequencies of all its orbits, if it is spectral.
    """

    key: str
    name: str
    family: str
    basis: FilterBasis
    spectrum: Spectrum | None = None


def named_basis(word: str) -> Shown:
    """A basis from the library or from a file.

    Args:
        word: Name from `list_bases`, perhaps with a dimension, or a path that ends in .safetensors.

    Returns:
        The basis; its spectrum holds the orbits that were cut off too.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If there is no such name (suggests the nearest), or the file is damaged.
    """
    hint = did_you_mean(word, FAMILIES)
    if hint and "-" not in word and not word.endswith(".safetensors"):
        raise ValueError(f"There is no family of bases named {word!r}.{hint}")
    if word.endswith(".safetensors") and not Path(word).is_file():
        raise FileNotFoundError(f"There is no file {word}. Name a file that orbitconv learn-basis wrote.")
    basis = load_basis(word)
    stem = re.sub(r"-d\d+$", "", word)
    whole = read_basis(FOLDER / f"{stem}.safetensors") if stem in list_bases() else basis
    family = str(basis.metadata.get("family", "table"))
    key = Path(word).stem if word.endswith(".safetensors") else word
    return Shown(key, key, family, basis, _spectrum(whole, basis.num_atoms))


def family_bases(
    families: Sequence[str], group: Group, kernel_size: int, data_dir: Path | None, progress: ProgressCallback
) -> list[Shown]:
    """One basis of each family; learned ones from the library or, where it has none, from CIFAR-10.

    Args:
        families: Names of families.
        group: The group; `ExactBasis` takes the part of it that the grid allows.
        kernel_size: Side of the kernel, in pixels.
        data_dir: Folder with the data sets.
        progress: Called as the work goes on.

    Returns:
        The bases, in the order asked for.
    """

    @cache
    def moments() -> Moments:
        images = load("cifar10", "train", data_dir=data_dir, progress=progress).take(_FIT_IMAGES).grey()
        progress("measure moments", 0, 1)
        measured = measure_moments(images, group, kernel_size)
        progress("measure moments", 1, 1)
        return measured

    exact = group if kernel_size == 1 else type(group)(math.gcd(group.num_rotations, 4))
    build: dict[str, Callable[[], FilterBasis]] = {
        "exact": lambda: ExactBasis(exact, kernel_size),
        "nearest": lambda: NearestBasis(group, kernel_size),
        "bilinear": lambda: BilinearBasis(group, kernel_size),
        "gaussian": lambda: GaussianBasis(group, kernel_size, 0.3),
        "harmonic": lambda: HarmonicBasis(group, kernel_size),
    }
    names = {"exact": f"exact {exact}", "gaussian": "gaussian, sigma 0.3"}
    shown = []
    for family in families:
        if family in build:
            shown.append(Shown(family, names.get(family, family), family, build[family]()))
        else:
            shown.append(_learned(family, group, kernel_size, moments))
    return shown


def _learned(family: str, group: Group, kernel_size: int, moments: Callable[[], Moments]) -> Shown:
    """A unitary or spectral basis, at the size that suits most uses."""
    stem = f"{family}-{group.name.lower()}-k{kernel_size}"
    if stem in list_bases():
        whole, basis = read_basis(FOLDER / f"{stem}.safetensors"), load_basis(stem)
        return Shown(family, family, family, basis, _spectrum(whole, basis.num_atoms))
    if family == "unitary" and (kernel_size == 1 or 4 % group.num_rotations == 0):
        return Shown(family, family, family, UnitaryBasis(group, kernel_size))
    full, facts = fit(family, moments())
    kept = facts.get("recommended_dimension", full.num_atoms)
    whole = TabulatedBasis(group, full.kernel_size, full.atoms, facts)
    cut = TabulatedBasis(group, full.kernel_size, full.atoms[:, :kept], {"family": family})
    return Shown(family, family, family, cut, _spectrum(whole, kept))


def _spectrum(whole: TabulatedBasis, kept: int) -> Spectrum | None:
    """What a file says about its orbits."""
    if not {"errors", "frequencies"} <= set(whole.metadata):
        return None
    return Spectrum(tuple(whole.metadata["errors"]), tuple(whole.metadata["frequencies"]), kept)
