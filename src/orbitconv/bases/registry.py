"""Bases by name: one grammar for layers, networks and commands.

    FAMILY-GROUP-kSIZE[-dATOMS] or FILE.safetensors

as in `exact-c4-k3`, `harmonic-d8-k5`, `spectral-c8-k5`, `spectral-c8-k5-d17`. Networks also take `FAMILY-GROUP`, and
choose the kernel sizes themselves. Kernels of 1x1 have one atom, a pixel, whatever the family. Families on the
hexagonal lattice begin with "hexagonal-", as in `hexagonal-exact-c6-k3`: sides 3, 5, 7 have 7, 19, 37 taps.
"""

import difflib
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from orbitconv._support.checks import Size2, as_pair, did_you_mean
from orbitconv.bases.exact import ExactBasis
from orbitconv.bases.files import TabulatedBasis, read_basis
from orbitconv.bases.filter_basis import FixedBasis
from orbitconv.bases.harmonic import HarmonicBasis
from orbitconv.bases.interpolated import BilinearBasis, GaussianBasis, NearestBasis
from orbitconv.bases.library import FOLDER, list_bases
from orbitconv.bases.orbits import Lattice, support_of
from orbitconv.bases.unitary import UnitaryBasis
from orbitconv.groups import Group, parse_group

_PIXELWISE: dict[str, Callable[[Group, Size2], FixedBasis]] = {
    "exact": ExactBasis,
    "nearest": NearestBasis,
    "bilinear": BilinearBasis,
    "gaussian": GaussianBasis,
}

_HEXAGONAL = "hexagonal-"

FAMILIES = (*_PIXELWISE, "harmonic", "unitary", "spectral")
"""Families of bases on square pixels, the learned ones last."""

HEXAGONAL_FAMILIES = tuple(_HEXAGONAL + family for family in ("exact", "unitary", "spectral"))
"""Families of bases on the hexagonal lattice."""

_ALL = (*FAMILIES, *HEXAGONAL_FAMILIES)

_GRAMMAR = "Names are FAMILY-GROUP-kSIZE[-dATOMS], as in spectral-c8-k5, or FILE.safetensors"
_FORM = re.compile(
    r"(?P<family>(?:hexagonal-)?[^-]+)(?P<rest>-(?P<group>[cd][1-9]\d*)(-k(?P<size>[1-9]\d*)(-d(?P<atoms>[1-9]\d*))?)?)"
)


@dataclass(frozen=True)
class BasisName:
    """The name of a basis, in its parts. Call it with a kernel size to build the basis.

    Args:
        family: One of `FAMILIES` or `HEXAGONAL_FAMILIES`.
        group: The group.
        kernel_size: Side of the kernel in pixels; None if the name leaves it to the network.
        dimension: Number of atoms; None for the default of the family.
    """

    family: str
    group: Group
    kernel_size: int | None = None
    dimension: int | None = None

    def __str__(self) -> str:
        parts = [self.family, self.group.name.lower()]
        parts += [f"k{self.kernel_size}"] if self.kernel_size else []
        parts += [f"d{self.dimension}"] if self.dimension else []
        return "-".join(parts)

    def __call__(self, kernel_size: Size2) -> FixedBasis:
        """Build the basis of a kernel size in pixels, one number or height and width.

        The number of atoms that the name gives is that of its own kernel size; other sizes have the default number.
        """
        own = kernel_size in {self.kernel_size, (self.kernel_size, self.kernel_size)}
        return build_basis(self.family, self.group, kernel_size, self.dimension if own else None)


def parse_basis_name(name: str) -> BasisName:
    """Split the name of a basis, such as "spectral-c8-k5-d11", in either case, into its parts.

    Raises:
        ValueError: If the name does not follow the grammar, or there is no such family; suggests the nearest.
    """
    match = _FORM.fullmatch(name.lower())
    if match is None:
        known = [f"{family}-{group}-k{size}" for family in FAMILIES for group in _groups() for size in (3, 5, 7)]
        hint = did_you_mean(name, known, most=3)
        raise ValueError(f"There is no basis named {name!r}. {_GRAMMAR}.{hint}")
    if match["family"] not in _ALL:
        near = difflib.get_close_matches(match["family"], _ALL, n=1, cutoff=0.5)
        hint = f" Did you mean {near[0] + match['rest']!r}?" if near else f" Families are {', '.join(_ALL)}."
        raise ValueError(f"There is no basis named {name!r}.{hint}")
    size, atoms = (int(text) if text else None for text in (match["size"], match["atoms"]))
    return BasisName(match["family"], parse_group(match["group"]), size, atoms)


def load_basis(name: str | Path, dimension: int | None = None) -> FixedBasis:
    """Load or build a basis by its name, or load it from a file.

    Args:
        name: Name by the grammar of this module; or the path of a file that `save_basis` wrote, which ends in
            ".safetensors".
        dimension: Number of atoms, best first. By default a name or a file has the number that its file recommends
            (for the spectral bases that come with the package that of the circular harmonics of their size: 6, 11, 18
            for 3x3, 5x5, 7x7), and all atoms if it recommends none.

    Returns:
        The basis; one from a file, or that comes with the package, is a `TabulatedBasis` with its metadata: family,
        data, errors and angular frequencies of the atoms.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the name is unknown (suggests the nearest) or names no kernel size, two numbers of atoms are
            asked for, the basis cannot have this number, or the file is damaged.
    """
    text = str(name)
    if text.endswith(".safetensors"):
        return _read(Path(text), dimension)
    parsed = parse_basis_name(text)
    if parsed.kernel_size is None:
        raise ValueError(f"load_basis expects a name with a kernel size, as in {parsed}-k3, got {text!r}.")
    if None not in (dimension, parsed.dimension) and dimension != parsed.dimension:
        raise ValueError(
            f"load_basis expects one dimension, got {parsed.dimension} in the name {text!r} and {dimension} beside it."
        )
    return build_basis(parsed.family, parsed.group, parsed.kernel_size, dimension or parsed.dimension)


def build_basis(family: str, group: Group, kernel_size: Size2, dimension: int | None = None) -> FixedBasis:
    """Build the basis of a family, or load it if it is a learned one.

    Learned bases (spectral, unitary) come with the package for the groups and kernel sizes of `list_bases`. Unitary
    bases of quarter turns need no images, and exist for every kernel size. Other learned bases are refused.

    Args:
        family: One of `FAMILIES` or `HEXAGONAL_FAMILIES`.
        group: The group.
        kernel_size: Side of the kernel in pixels, or height and width.
        dimension: Number of atoms; by default as `load_basis` says.

    Returns:
        The basis; for 1x1 kernels `ExactBasis(group, 1)`.

    Raises:
        ValueError: If there is no such family, the family has no basis of this group or kernel size, or the basis
            cannot have this number of atoms.
    """
    if family not in _ALL:
        raise ValueError(
            f"There is no family of bases named {family!r}.{did_you_mean(family, _ALL)} There are {', '.join(_ALL)}."
        )
    height, width = as_pair("build_basis", "kernel_size", kernel_size)
    if (height, width) == (1, 1):
        return _with_atoms("exact", ExactBasis(group, 1, lattice=_lattice(family)), dimension)
    if family in _PIXELWISE:
        return _with_atoms(family, _PIXELWISE[family](group, (height, width)), dimension)
    if height != width:
        raise ValueError(
            f"{family} bases have square kernels, got {height}x{width}. {', '.join(_PIXELWISE)} can differ."
        )
    if family == "hexagonal-exact":
        return _with_atoms(family, ExactBasis(group, height, lattice="hexagonal"), dimension)
    if family == "harmonic":
        return _harmonic(group, height, dimension)
    stem = f"{family}-{group.name.lower()}-k{height}"
    if stem in list_bases():
        return _read(FOLDER / f"{stem}.safetensors", dimension)
    if family == "unitary" and 4 % group.num_rotations == 0:
        return _with_atoms(family, UnitaryBasis(group, height), dimension)
    if family == "hexagonal-unitary" and 6 % group.num_rotations == 0:
        return _with_atoms(family, ExactBasis(group, height, lattice="hexagonal"), dimension)
    if family.startswith(_HEXAGONAL):
        support_of((height, width), "hexagonal")
        raise ValueError(
            f"No {family} basis of {group} with {height}x{height} kernels comes with the package, which has those of "
            f"{', '.join(_groups(family))} with kernels of 3, 5 and 7. Learn one: measure_hexagonal_moments of "
            "orbitconv.learn, then SpectralBasis or UnitaryBasis."
        )
    raise ValueError(
        f"No {family} basis of {group} with {height}x{height} kernels comes with the package, which has those of "
        f"{', '.join(_groups())} with kernels of 3, 5 and 7 pixels. Learn one: orbitconv learn-basis --family {family} "
        f"--group {group.name.lower()} --kernel-size {height} --out FILE.safetensors; or take "
        f"harmonic-{group.name.lower()}-k{height}, which needs no images."
    )


def _lattice(family: str) -> Lattice:
    """What the pixels of a family's filters are."""
    return "hexagonal" if family.startswith(_HEXAGONAL) else "square"


def _groups(family: str = "spectral") -> list[str]:
    """Groups of the bases that come with the package."""
    parsed = (match for name in list_bases() if (match := _FORM.fullmatch(name)))
    groups = {match["group"] for match in parsed if match["family"] == family}
    return sorted(groups, key=lambda name: (name[0], int(name[1:])))


def _read(path: Path, dimension: int | None) -> TabulatedBasis:
    """A basis from a file, with the number of atoms that is asked for, or the one that the file recommends."""
    if dimension is not None:
        return read_basis(path, dimension)
    whole = read_basis(path)
    recommended = whole.metadata.get("recommended_dimension", whole.num_atoms)
    return whole if recommended == whole.num_atoms else read_basis(path, recommended)


def _with_atoms(family: str, basis: FixedBasis, dimension: int | None) -> FixedBasis:
    """A basis whose number of atoms is fixed, or a refusal of another number."""
    if dimension in {None, basis.num_atoms}:
        return basis
    height, width = basis.kernel_size
    raise ValueError(
        f"The {family} basis of {basis.group} with {height}x{width} kernels has {basis.num_atoms} atoms, one for each "
        f"pixel, got dimension {dimension}. Spectral and harmonic bases can have fewer."
    )


def _harmonic(group: Group, kernel_size: int, dimension: int | None) -> HarmonicBasis:
    """Circular harmonics with as many atoms as asked for: all rings up to the same frequency."""
    usual = HarmonicBasis(group, kernel_size)
    if dimension in {None, usual.num_atoms}:
        return usual
    cut = [HarmonicBasis(group, kernel_size, highest) for highest in range(max(usual.max_frequency) + 1)]
    for basis in cut:
        if basis.num_atoms == dimension:
            return basis
    sizes = sorted({basis.num_atoms for basis in (*cut, usual)})
    raise ValueError(
        f"Harmonic bases with {kernel_size}x{kernel_size} kernels have {', '.join(map(str, sizes))} atoms, got "
        f"dimension {dimension}."
    )
