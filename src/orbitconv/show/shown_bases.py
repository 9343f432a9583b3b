"""The bases that `show-basis` draws: from the library, from files, or built for the occasion."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

from orbitconv._support.checks import did_you_mean
from orbitconv._support.progress import ProgressCallback
from orbitconv.bases import (
    FilterBasis,
    TabulatedBasis,
    build_basis,
    list_bases,
    load_basis,
    parse_basis_name,
    read_basis,
)
from orbitconv.bases.library import FOLDER
from orbitconv.bases.registry import FAMILIES
from orbitconv.data import load
from orbitconv.figures.basis_figures import Spectrum
from orbitconv.groups import Group
from orbitconv.learn import Moments, measure_moments
from orbitconv.learn_basis import fit

# CIFAR-10 training images for a basis that the library does not hold.
_FIT_IMAGES = 2000


@dataclass(frozen=True)
class Shown:
    """A basis to draw: what files and readers call it, its family, and all its orbits if it is spectral."""

    key: str
    name: str
    family: str
    basis: FilterBasis
    spectrum: Spectrum | None = None


def named_basis(word: str) -> Shown:
    """A basis by its name, or from a file."""
    if "-" not in word and not word.endswith(".safetensors"):
        hint = did_you_mean(word, FAMILIES)
        raise ValueError(f"There is no family of bases named {word!r}.{hint} There are {', '.join(FAMILIES)}.")
    if word.endswith(".safetensors"):
        if not Path(word).is_file():
            raise FileNotFoundError(f"There is no file {word}. Name a file that orbitconv learn-basis wrote.")
        file, key, family = Path(word), Path(word).stem, "table"
    else:
        name = parse_basis_name(word)
        file = FOLDER / f"{replace(name, dimension=None)}.safetensors"
        key, family = str(name), name.family
    basis = load_basis(word)
    if basis.lattice != "square":
        raise ValueError(
            f"show-basis draws filters on square pixels, got {word} on the hexagonal lattice. Its errors are in "
            f"orbitconv.bases.load_basis({word!r}).metadata."
        )
    if not isinstance(basis, TabulatedBasis):
        return Shown(key, key, family, basis)
    return Shown(
        key, key, str(basis.metadata.get("family", family)), basis, _spectrum(read_basis(file), basis.num_atoms)
    )


def family_bases(
    families: Sequence[str], group: Group, kernel_size: int, data_dir: Path | None, progress: ProgressCallback
) -> list[Shown]:
    """One basis of each family; learned ones from the library or, where it has none, from CIFAR-10.

    `ExactBasis` takes the part of the group that the grid allows.
    """

    @cache
    def moments() -> Moments:
        images = load("cifar10", "train", data_dir=data_dir, progress=progress).take(_FIT_IMAGES).grey()
        progress("measure moments", 0, 1)
        measured = measure_moments(images, group, kernel_size)
        progress("measure moments", 1, 1)
        return measured

    exact = group if kernel_size == 1 else type(group)(math.gcd(group.num_rotations, 4))
    names = {"exact": f"exact {exact}", "gaussian": "gaussian, sigma 0.3"}
    shown = []
    for family in families:
        stem = f"{family}-{group.name.lower()}-k{kernel_size}"
        if stem in list_bases():
            shown.append(replace(named_basis(stem), key=family, name=family))
        elif family == "spectral" or (family == "unitary" and kernel_size > 1 and 4 % group.num_rotations):
            shown.append(_fitted(family, moments()))
        else:
            basis = build_basis(family, exact if family == "exact" else group, kernel_size)
            shown.append(Shown(family, names.get(family, family), family, basis))
    return shown


def _fitted(family: str, moments: Moments) -> Shown:
    """A unitary or spectral basis, with the number of atoms that suits most uses."""
    full, facts = fit(family, moments)
    kept = facts.get("recommended_dimension", full.num_atoms)
    whole = TabulatedBasis(moments.group, full.kernel_size, full.atoms, facts)
    cut = TabulatedBasis(moments.group, full.kernel_size, full.atoms[:, :kept], {"family": family})
    return Shown(family, family, family, cut, _spectrum(whole, kept))


def _spectrum(whole: TabulatedBasis, kept: int) -> Spectrum | None:
    """The orbits that a file describes."""
    if not {"errors", "frequencies"} <= set(whole.metadata):
        return None
    return Spectrum(tuple(whole.metadata["errors"]), tuple(whole.metadata["frequencies"]), kept)
