"""Pixels as atoms, for the groups that map the pixel grid to itself."""

from typing import final

import numpy as np
import torch
from jaxtyping import Float

from orbitconv._support.checks import Size2, as_pair
from orbitconv.bases.filter_basis import FixedBasis
from orbitconv.bases.orbits import Lattice, exact_moves, support_of
from orbitconv.groups import Group, grid_permutation


@final
class ExactBasis(FixedBasis):
    """One atom per pixel; the group moves pixels onto pixels. Exactly equivariant, exactly unitary.

    A rectangular kernel under a group with quarter turns lives in the enclosing square: its atoms turn from
    height x width to width x height inside it.

    On the hexagonal lattice the kernel is an axial array of side 3, 5 or 7 with the 7, 19 or 37 taps of a hexagon.

    Args:
        group: C1, C2, C4, D1, D2 or D4, the groups that map a grid to itself; any group for a 1x1 kernel. On hexagons
            C1, C2, C3, C6, D1, D2, D3 or D6.
        kernel_size: Height and width of the filter, in pixels; odd or even. On hexagons one odd side, 2 radius + 1.
        lattice: `"square"` or `"hexagonal"`.

    Raises:
        ValueError: If the group holds a turn that does not map the lattice to itself, or the size does not fit it.

    Source: Cohen & Welling (2016), Group equivariant convolutional networks; Hoogeboom, Peters, Cohen & Welling (2018),
        HexaConv.
    """

    def __init__(self, group: Group, kernel_size: Size2, *, lattice: Lattice = "square") -> None:
        if lattice == "hexagonal":
            super().__init__(group, kernel_size, _hexagonal_atoms(group, kernel_size), lattice)
            return
        height, width = window = enclosing_window("ExactBasis", group, kernel_size)
        if 4 % group.num_rotations and (height, width) != (1, 1):
            raise ValueError(
                f"ExactBasis expects a group of quarter turns (C1, C2, C4, D1, D2, D4), got {group}: a turn by "
                f"{360 / group.num_rotations:g} degrees does not map the pixel grid to itself. "
                "Use UnitaryBasis, HarmonicBasis or an interpolated basis for other orders."
            )
        pixels = pixel_atoms(as_pair("ExactBasis", "kernel_size", kernel_size), window)
        turned = np.stack([pixels[:, grid_permutation(group, g, height, width)] for g in range(group.order)])
        super().__init__(group, window, torch.from_numpy(turned.reshape(group.order, -1, height, width)))


def _hexagonal_atoms(group: Group, kernel_size: Size2) -> Float[torch.Tensor, "g d ky kx"]:
    """One-tap filters for every tap of a hexagon, turned exactly."""
    window = as_pair("ExactBasis", "kernel_size", kernel_size)
    taps = np.eye(window[0] * window[1])[support_of(window, "hexagonal")]
    if 6 % group.num_rotations and window != (1, 1):
        raise ValueError(
            f"ExactBasis on hexagons expects a group of turns by multiples of 60 degrees (C1, C2, C3, C6, D1, D2, D3, "
            f"D6), got {group}: a turn by {360 / group.num_rotations:g} degrees does not map the lattice to itself. "
            "Take a learned basis, such as hexagonal-spectral-c12-k5."
        )
    moves = exact_moves(group, window, "hexagonal")
    return torch.from_numpy(np.stack([taps[:, moves[g]] for g in range(group.order)]).reshape(group.order, -1, *window))


def enclosing_window(owner: str, group: Group, kernel_size: Size2) -> tuple[int, int]:
    """The smallest window that a kernel stays in when quarter turns of the group swap its sides.

    That is the kernel size itself if it is square or the group has no turn but the half turn; else the square.
    """
    height, width = as_pair(owner, "kernel_size", kernel_size)
    if 2 % group.num_rotations == 0:
        return height, width
    return max(height, width), max(height, width)


def pixel_atoms(kernel_size: tuple[int, int], window: tuple[int, int]) -> Float[np.ndarray, "d p"]:
    """One-pixel filters, a row for every pixel of a kernel that sits in the middle of a window, in reading order."""
    margins = [outer - inner for outer, inner in zip(window, kernel_size, strict=True)]
    if any(margin % 2 for margin in margins):
        raise ValueError(
            f"A {kernel_size[0]}x{kernel_size[1]} kernel has no common centre with its quarter turn: make both "
            "sides odd or both even."
        )
    inside = np.zeros(window, dtype=bool)
    top, left = (margin // 2 for margin in margins)
    inside[top : top + kernel_size[0], left : left + kernel_size[1]] = True
    return np.eye(inside.size)[inside.ravel()]
