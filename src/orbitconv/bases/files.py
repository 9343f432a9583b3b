"""Bases as files: one safetensors file each, which says what it holds and whether it is whole.

Only the elements that no exact move of the grid can supply are stored (two of eight for C8).
"""

from pathlib import Path
from typing import Any, final, get_args

import numpy as np
import torch
from jaxtyping import Float

from orbitconv._support.saved import damaged_file, read_saved, write_saved
from orbitconv.bases.filter_basis import FixedBasis
from orbitconv.bases.orbits import Lattice, complete_orbit, factor_exact, support_of
from orbitconv.groups import Group, parse_group

_MOST_EXACT_MOVES = 12  # of a lattice: six turns by 60 degrees, mirrored or not; of squares eight
_LARGEST_GROUP = 4096  # elements; tables of products grow with the square of their number


@final
class TabulatedBasis(FixedBasis):
    """A basis from a table of atoms: what a file holds.

    Args:
        group: The group.
        kernel_size: Height and width of the atoms, in pixels.
        atoms: The atoms at every group element.
        metadata: What is known about them: family, data, errors, ..., and the lattice if it is not that of squares.

    Raises:
        ValueError: If the atoms do not have the shape (|G|, D, height, width).
    """

    def __init__(
        self,
        group: Group,
        kernel_size: tuple[int, int],
        atoms: Float[torch.Tensor, "g d ky kx"],
        metadata: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(group, kernel_size, atoms, (metadata or {}).get("lattice", "square"))
        self.metadata = dict(metadata or {})

    def extra_repr(self) -> str:
        """Family, group, size and dimension, for `print`."""
        return f"{self.metadata.get('family', 'table')}, {super().extra_repr()}"


def save_basis(basis: FixedBasis, path: Path | str, **metadata: Any) -> None:
    """Write a basis as one safetensors file, in one step: the file is whole or not there.

    Args:
        basis: The basis.
        path: File to write.
        **metadata: What shall be known about it, as JSON can hold it: data, equivariance_error (that of the whole
            basis, or of the first recommended_dimension atoms), ... Errors and angular frequencies of the atoms, by
            which a file can be cut, come from the basis, if it knows them.

    Raises:
        ValueError: If an atom is not finite, JSON cannot hold what shall be known, or the group is too large.
        OSError: If the file cannot be written; a file that was there stays as it was.
    """
    group, window, lattice = basis.group, basis.kernel_size, basis.lattice
    if group.order > _LARGEST_GROUP:
        raise ValueError(f"save_basis expects a group of at most {_LARGEST_GROUP} elements, got {group}.")
    atoms = basis.atoms.detach().cpu().double().numpy()
    if not np.isfinite(atoms).all():
        raise ValueError(
            f"save_basis expects finite atoms, got {int((~np.isfinite(atoms)).sum())} NaN or infinite values in "
            f"{basis}. A basis that was on the meta device holds NaN until a state dict is loaded."
        )
    flat = atoms.reshape(*atoms.shape[:2], -1)
    rests = sorted({rest for _, rest in factor_exact(group, *window, lattice)})
    if not np.array_equal(complete_orbit(group, window, lambda g: flat[g], lattice=lattice), atoms):
        rests = list(range(group.order))  # its exact moves are not exact: keep every element
    family = type(basis).__name__.removesuffix("Basis").lower()
    known = {name: list(value) for name in ("errors", "frequencies") if (value := getattr(basis, name, ()))}
    described = {
        "family": family, **known, **getattr(basis, "metadata", {}), **metadata, "group": group.name,
        "kernel_size": window, "dimension": basis.num_atoms, "elements": rests,
    }  # fmt: skip
    if lattice != "square":
        described["lattice"] = lattice
    write_saved(path, "basis", {"atoms": torch.from_numpy(atoms[rests])}, described)


def read_basis(path: Path | str, dimension: int | None = None) -> TabulatedBasis:
    """Read a basis that `save_basis` wrote.

    Args:
        path: File to read.
        dimension: Number of atoms to keep, from the first on; a pair of atoms that turns as one is never cut in two.

    Returns:
        The basis, with its metadata.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file holds no basis, is truncated, damaged or of a newer version, or cannot be cut there.
    """
    path = Path(path)
    described, stored = _parse(path)
    group = parse_group(described["group"])
    height, width = described["kernel_size"]
    if described.get("recommended_dimension", described["dimension"]) != (dimension or described["dimension"]):
        described.pop("equivariance_error", None)  # it is that of another number of atoms
    if dimension is not None:
        _check_cut(path.stem, described, dimension)
        stored = stored[:, :dimension]
        for key in {"errors", "frequencies"} & described.keys():
            described[key] = described[key][:dimension]
        if "recommended_dimension" in described:
            described["recommended_dimension"] = dimension  # that asked for, should it be saved again
    flat = stored.reshape(*stored.shape[:2], -1)
    if len(flat) == group.order:
        atoms = stored
    else:
        slots = {g: slot for slot, g in enumerate(described["elements"])}
        lattice = described.get("lattice", "square")
        atoms = complete_orbit(group, (height, width), lambda g: flat[slots[g]], lattice=lattice)
    described["dimension"] = stored.shape[1]
    return TabulatedBasis(group, (height, width), torch.from_numpy(atoms.copy()), described)


def _parse(path: Path) -> tuple[dict[str, Any], Float[np.ndarray, "e d ky kx"]]:
    """The description and the table of a file, or a refusal."""
    saved = read_saved(path, "basis")
    described = saved.description
    try:
        group, elements = parse_group(described["group"]), described["elements"]
        stored = saved.tensors["atoms"]
        expected = (len(elements), described["dimension"], *described["kernel_size"])
        if set(saved.tensors) != {"atoms"} or tuple(stored.shape) != expected or stored.dtype != torch.float64:
            raise ValueError("its atoms are not those that it describes")
        # Before anything of the size of the group is built.
        if not group.order <= min(_MOST_EXACT_MOVES * len(elements), _LARGEST_GROUP) or not stored.numel():
            raise ValueError(f"{len(elements)} elements of {stored.shape[1]} atoms are no basis for {group}")
        lattice = described.get("lattice", "square")
        if lattice not in get_args(Lattice):
            raise ValueError(f"it is on a lattice named {lattice!r}")
        support_of(tuple(described["kernel_size"]), lattice)
        height, width = described["kernel_size"]
        rests = sorted({rest for _, rest in factor_exact(group, height, width, lattice)})
        if elements not in (rests, list(range(group.order))):
            raise ValueError(f"its elements are not those that {group} needs")
        if described.get("recommended_dimension", 1) not in range(1, stored.shape[1] + 1):
            raise ValueError("it recommends a number of atoms that it does not have")
        for name in ("errors", "frequencies"):
            if len(described.get(name, stored[0])) != stored.shape[1]:
                raise ValueError(f"it does not have one of its {name} for each atom")
    except (ValueError, KeyError, TypeError, IndexError) as error:
        reason = str(error).rstrip(".") if isinstance(error, ValueError) else "it does not describe a basis"
        raise damaged_file(path, reason) from error
    return described, stored.numpy()


def _check_cut(name: str, described: dict[str, Any], dimension: int) -> None:
    """Refuse to keep a number of atoms that would cut a pair in two."""
    full = described["dimension"]
    frequencies = described.get("frequencies")
    if frequencies is None:
        allowed = [full]
    else:
        n = int(described["group"][1:])
        sizes, at = [], 0
        while at < full:
            at += 1 if 2 * frequencies[at] % n == 0 else 2
            sizes.append(at)
        allowed = sizes
    if dimension not in allowed:
        raise ValueError(
            f"{name} cannot be cut to {dimension} atoms: atoms that turn as one stay together. Choose from "
            f"{', '.join(map(str, allowed))}."
        )
