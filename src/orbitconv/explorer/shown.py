"""The bases that the page can show: pixels of their atoms, and their errors at every turn."""

import base64
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from orbitconv.bases import FixedBasis, load_basis
from orbitconv.bases.registry import parse_basis_name
from orbitconv.bases.second_moments import SecondMoments
from orbitconv.groups import Group
from orbitconv.hexagonal import to_hexagonal
from orbitconv.learn import measure_hexagonal_moments, measure_moments
from orbitconv.metrics import basis_equivariance_error

FAMILIES = ("spectral", "harmonic", "unitary", "gaussian", "bilinear", "exact")
GROUPS = ("c4", "c8", "c12", "c16", "d4", "d8")
KERNELS = (3, 5, 7)
_HEXAGONAL = {
    "hexagonal-spectral": ("c12", "d12"),
    "hexagonal-unitary": ("c12", "d12"),
    "hexagonal-exact": ("c6", "d6"),
}
_LARGEST = 2**15 - 1


def names() -> list[str]:
    """Names of the bases of the page, by the grammar of `orbitconv.bases.load_basis`."""
    return [
        f"{family}-{group}-k{size}"
        for family, groups in (dict.fromkeys(FAMILIES, GROUPS) | {"exact": ("c4", "d4")} | _HEXAGONAL).items()
        for group in groups
        for size in KERNELS
    ]


def images_like_photographs(count: int = 6, side: int = 32) -> Float[Tensor, "b 1 h w"]:
    """Random float64 images whose amplitude falls with the frequency, as that of photographs does; always the same."""
    noise = torch.randn(count, 1, side, side, dtype=torch.double, generator=torch.Generator().manual_seed(0))
    frequency = torch.fft.fftfreq(side, dtype=torch.double)
    radius = (frequency[:, None] ** 2 + frequency[None] ** 2).sqrt().clamp(min=1 / side)
    return torch.fft.ifft2(torch.fft.fft2(noise) / radius).real


def shown_bases(wanted: Sequence[str], progress: Callable[[int, int], None]) -> Iterator[dict[str, Any]]:
    """What the page needs to know of each basis, by names and files.

    Progress is called with those done, and of how many.
    """
    measured: dict[tuple[str, str, tuple[int, int]], SecondMoments] = {}
    images = images_like_photographs()
    for done, name in enumerate(wanted, 1):
        basis = load_basis(name)
        key = basis.lattice, basis.group.name, basis.kernel_size
        if key not in measured:
            measured[key] = (
                measure_hexagonal_moments(to_hexagonal(images), basis.group, basis.kernel_size[0])
                if basis.lattice == "hexagonal"
                else measure_moments(images, basis.group, basis.kernel_size)
            )
        yield described(name, measured[key])
        progress(done, len(wanted))


def described(name: str, moments: SecondMoments) -> dict[str, Any]:
    """What the page needs to know of one basis, by its name or file.

    Errors are measured with the moments of some images.

    Its name, family, lattice, group and kernel; the angle of each element; for each number of atoms that can be chosen,
    the error at each element; and the atoms, as 16-bit integers `(group, atoms, height, width)` in base64 with the size
    of a step. Where a smaller basis is the first part of a larger one, only the larger one's atoms are there.
    """
    chosen = load_basis(name)
    choices = _choices(name, 2 * chosen.num_atoms)
    largest = choices[max(choices)]
    pixels = {
        count: _packed(basis.atoms)
        for count, basis in choices.items()
        if basis is largest or not torch.equal(basis.atoms, largest.atoms[:, :count])
    }
    return {
        "name": Path(name).name,
        "family": Path(name).stem if name.endswith(".safetensors") else parse_basis_name(name).family,
        "lattice": chosen.lattice,
        "group": chosen.group.name,
        "kernel": list(chosen.kernel_size),
        "recommended": chosen.num_atoms,
        "elements": [_element(chosen.group, g) for g in range(chosen.group.order)],
        "errors": {
            count: [round(one, 6) for one in basis_equivariance_error(basis, moments).tolist()]
            for count, basis in choices.items()
        },
        "pixels": pixels,
    }


def _choices(name: str, most: int) -> dict[int, FixedBasis]:
    """The basis with every number of atoms that it can have, up to a number."""
    found = {}
    for count in range(1, most + 1):
        try:
            found[count] = load_basis(name, count)
        except ValueError:
            continue
    return found


def _packed(atoms: Float[Tensor, "g d h w"]) -> dict[str, Any]:
    step = float(atoms.abs().max()) / _LARGEST
    integers = (atoms.double() / step).round().to(torch.int16).contiguous().numpy()
    return {"step": step, "data": base64.b64encode(integers.astype("<i2").tobytes()).decode()}


def _element(group: Group, g: int) -> dict[str, Any]:
    turns = group.num_rotations
    return {"degrees": 360 * (g % turns) / turns, "mirror": g >= turns}
