"""The systems: the basis of each, its exact symmetries, and its paper."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch

from orbitconv.bases import BilinearBasis, FilterBasis, TabulatedBasis, load_basis
from orbitconv.groups import Cyclic


class System(NamedTuple):
    """One system: its name, its paper, its exact rotations and mirrors, its basis (None for plain filters)."""

    name: str
    source: str
    exact: str
    basis: Callable[[], FilterBasis | None]
    hexagonal: bool = False


def disc_bilinear(num_rotations: int, kernel_size: int) -> TabulatedBasis:
    """Bilinear filters with a disc mask: pixels outside the circle inside the kernel are zero, at every angle."""
    whole = BilinearBasis(Cyclic(num_rotations), kernel_size, border="grid-constant")
    rows, cols = np.indices(whole.kernel_size) - (kernel_size - 1) / 2
    disc = torch.from_numpy(np.hypot(rows, cols) <= kernel_size / 2)
    atoms = whole.atoms[:, disc.flatten()] * disc
    return TabulatedBasis(whole.group, whole.kernel_size, atoms, {"family": "bilinear, disc"})


def _named(name: str) -> Callable[[], FilterBasis]:
    return lambda: load_basis(name)


SYSTEMS = (
    System("plain", "LeCun et al. (1998)", "-", lambda: None),
    System("p4", "Cohen & Welling (2016)", "90", _named("exact-c4-k3")),
    System("p4m", "Cohen & Welling (2016)", "90, mirrors", _named("exact-d4-k3")),
    System("p6", "Hoogeboom et al. (2018)", "60", _named("hexagonal-exact-c6-k3"), hexagonal=True),
    System("p6m", "Hoogeboom et al. (2018)", "60, mirrors", _named("hexagonal-exact-d6-k3"), hexagonal=True),
    System("interpolated C8", "Bekkers et al. (2018)", "90", lambda: disc_bilinear(8, 5)),
    System("steerable C8", "Weiler et al. (2018)", "90", _named("harmonic-c8-k5")),
    System("unitary C8", "Diaconu & Worrall (2019)", "90", _named("unitary-c8-k3")),
    System("spectral C8", "this library", "90", _named("spectral-c8-k5")),
    System("hexagonal spectral C12", "this library", "60", _named("hexagonal-spectral-c12-k5"), hexagonal=True),
)
"""In the order of the papers. Filters are 3x3, or the 7 taps of a hexagon, where turns are exact or the paper says so;
5x5, or 19 taps, where turned filters need room."""
