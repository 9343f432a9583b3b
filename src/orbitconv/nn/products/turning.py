"""What the elements of a group do to coefficients on it: every turned copy of them, and the sum over copies.

Element g moves the coefficients of a filter to c[g^-1 h]. In a cyclic group that is a shift, so the N copies are N
windows of one strip, the coefficients written twice; in other groups the strip holds a few such pieces. Copying a
window moves long runs of memory, where a gather would go through a table number by number, and the gradient adds
windows up in one order, so that training can be repeated to the bit.
"""

from functools import lru_cache
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from orbitconv.groups import Group


class Turning(NamedTuple):
    """The table of g^-1 h as windows of a strip.

    Args:
        windows: For each element g its windows in order, each as (piece, first element).
        length: Elements of a piece and of a window.
        pieces: Elements of the strip, piece after piece; in the strip each piece stands twice, so that windows may
            begin anywhere in it. None if that is one piece, the group in its own order.
        places: Where in `pieces` each element stands, as many times as it does; None likewise.
        selection: The table as it is, selection[m, g, h] = whether m = g^-1 h.
        source: The table as numbers, g^-1 h; always on the CPU.
        target: Its inverse, g m; likewise.
    """

    windows: tuple[tuple[tuple[int, int], ...], ...]
    length: int
    pieces: Tensor | None
    places: Tensor | None
    selection: Bool[Tensor, "m g h"]
    source: Int[Tensor, "g h"]
    target: Int[Tensor, "g m"]

    def to(self, device: torch.device) -> "Turning":
        """The same on a device."""
        selection = self.selection.to(device)
        if self.pieces is None or self.places is None:
            return self._replace(selection=selection)
        return self._replace(pieces=self.pieces.to(device), places=self.places.to(device), selection=selection)


def turning_of(group: Group) -> Turning:
    """Cut the table of a group into windows as long as its rotations."""
    pieces, windows = _cut(group)
    source, target = (torch.tensor(table.tolist(), device="cpu") for table in (group.quotient, group.product))
    selection = source == torch.arange(group.order, device="cpu")[:, None, None]
    flat = torch.tensor(pieces, device="cpu").flatten()
    if flat.tolist() == list(range(group.order)):
        return Turning(windows, group.num_rotations, None, None, selection, source, target)
    places = torch.stack([(flat == element).nonzero()[:, 0] for element in range(group.order)], dim=1)
    return Turning(windows, group.num_rotations, flat, places, selection, source, target)


@lru_cache
def _cut(group: Group) -> tuple[list[list[int]], tuple[tuple[tuple[int, int], ...], ...]]:
    """The pieces of the strip, and the windows of every element."""
    length = group.num_rotations
    pieces: list[list[int]] = []
    windows = []
    for row in group.quotient.tolist():
        own = []
        for start in range(0, len(row), length):
            window = row[start : start + length]
            piece = next((p for p, held in enumerate(pieces) if _holds(held, window)), len(pieces))
            if piece == len(pieces):
                pieces.append(window)
            own.append((piece, pieces[piece].index(window[0])))
        windows.append(tuple(own))
    return pieces, tuple(windows)


def _holds(piece: list[int], window: list[int]) -> bool:
    """Whether a window stands somewhere in a piece that is written twice."""
    start = piece.index(window[0]) if window[0] in piece else len(piece)
    return (piece + piece)[start : start + len(window)] == window


def copy_windows(coefficients: Float[Tensor, "o i m d"], turning: Turning) -> Float[Tensor, "o g i h d"]:
    """Every turned copy of coefficients: turned[o, g, i, h] = coefficients[o, i, g^-1 h]."""
    pieces = coefficients.contiguous()  # they may lie otherwise, as in a model that was moved to channels last
    if turning.pieces is not None:
        pieces = pieces.index_select(2, turning.pieces.to(pieces.device))
    pieces = pieces.reshape(*pieces.shape[:2], -1, turning.length, pieces.shape[3])
    rows = _windows(torch.cat([pieces, pieces], dim=3), turning)
    return torch.stack([row[0] if len(row) == 1 else torch.cat(row, dim=2) for row in rows], dim=1)


def sum_windows(turned: Float[Tensor, "o g i h d"], turning: Turning) -> Float[Tensor, "o i m d"]:
    """The transpose of `copy_windows`: for every coefficient the sum of what was copied from it."""
    out_channels, order, in_channels, _, num_atoms = turned.shape
    length = turning.length
    count = order // length if turning.pieces is None else len(turning.pieces) // length
    strip = turned.new_zeros(out_channels, in_channels, count, 2 * length, num_atoms)
    for row, copy in zip(_windows(strip, turning), turned.unbind(1), strict=True):
        for window, part in zip(row, (copy,) if len(row) == 1 else copy.split(length, dim=2), strict=True):
            window += part
    pieces = (strip[:, :, :, :length] + strip[:, :, :, length:]).flatten(2, 3)
    if turning.places is None:
        return pieces
    return pieces.index_select(2, turning.places.flatten().to(pieces.device)).unflatten(2, turning.places.shape).sum(2)


def _windows(strip: Float[Tensor, "o i p n2 d"], turning: Turning) -> list[list[Float[Tensor, "o i n d"]]]:
    """Views of a strip: for every element its windows in order."""
    pieces = strip.unbind(2)
    return [[pieces[p].narrow(2, at, turning.length) for p, at in row] for row in turning.windows]
