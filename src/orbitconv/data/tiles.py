"""Pictures larger than memory: overlapping tiles whose predictions are blended."""

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import final

import torch
from jaxtyping import Float
from torch import Tensor

from orbitconv._support.checks import check_positive
from orbitconv.data.formats import Region

BLEND = 32
"""Least number of pixels over which the weights of neighbouring tiles pass, unless asked otherwise."""


@final
@dataclass(frozen=True, kw_only=True)
class Tiling:
    """Tiles of a plane, and weights of which those at one pixel sum to one.

    A tile counts nothing in the outer `margin` pixels of sides that are not sides of the picture, where its answer
    lacks what lies outside. Between these margins of two neighbours weights pass linearly from one to the other. So the
    blended answer is that of the whole picture, up to rounding, for a network of which each output depends on input at
    most `margin` pixels away, and whose strides divide `multiple`: tiles begin at multiples of it, and their sides
    leave the same rest as those of the picture, as strided layers may treat odd and even sides differently.

    Raises:
        ValueError: If sides are too short for the overlap.
    """

    height: int
    width: int
    side: int = 1024
    margin: int = 64
    blend: int = BLEND
    multiple: int = 32

    def __post_init__(self) -> None:
        check_positive(
            "Tiling", height=self.height, width=self.width, side=self.side, blend=self.blend, multiple=self.multiple
        )
        if self.margin < 0:
            raise ValueError(f"Tiling expects a margin of 0 or more, got {self.margin}.")
        for length in (self.height, self.width):
            part, step = self._lengths(length)
            if step < part - step:
                raise ValueError(
                    f"Tiling expects tiles of which no three overlap, got a side of {self.side} with a margin of "
                    f"{self.margin} and a blend of {self.blend}. Take a side of "
                    f"{least_side(self.margin, self.multiple, self.blend)} or more."
                )

    @property
    def rows(self) -> list[slice]:
        """Rows of each row of tiles."""
        return _parts(self.height, *self._lengths(self.height))

    @property
    def columns(self) -> list[slice]:
        """Columns of each column of tiles."""
        return _parts(self.width, *self._lengths(self.width))

    def _lengths(self, length: int) -> tuple[int, int]:
        """Length of the parts of a side of the picture, and the distance of neighbours."""
        if length <= self.side:
            return length, length
        part = self.side - (self.side - length) % self.multiple
        step = part - 2 * self.margin - self.blend
        return part, step - step % self.multiple

    def __len__(self) -> int:
        return len(self.rows) * len(self.columns)

    def __iter__(self) -> Iterator[Region]:
        return itertools.product(self.rows, self.columns)

    def weights(self, tile: Region) -> Float[Tensor, "h w"]:
        """The weight of each pixel of a tile, from 0 to 1."""
        rows = _weights(self.rows, self.rows.index(tile[0]), self.margin)
        columns = _weights(self.columns, self.columns.index(tile[1]), self.margin)
        return rows[:, None] * columns[None, :]


def least_side(margin: int, multiple: int, blend: int = BLEND) -> int:
    """The side from which on no three tiles in a row overlap, whatever the size of the picture."""
    return 2 * (2 * margin + blend) + 3 * multiple


def blended(
    answer: Callable[[Float[Tensor, "1 c h w"]], Float[Tensor, "1 k h w"]],
    read: Callable[[Region], Float[Tensor, "c h w"]],
    tiling: Tiling,
) -> Iterator[tuple[slice, Float[Tensor, "k h w"]]]:
    """Predict a large picture tile by tile, with one row of tiles in memory.

    `answer` is what a network says of a scaled tile, at its size. Rows that are done come in order with the answer
    there; together they cover the picture once.
    """
    left: Float[Tensor, "k h w"] | None = None
    rows = tiling.rows
    for i, part in enumerate(rows):
        band: Float[Tensor, "k h w"] | None = None
        for columns in tiling.columns:
            said = answer(read((part, columns))[None])[0]
            expected = (part.stop - part.start, columns.stop - columns.start)
            if tuple(said.shape[1:]) != expected:
                raise ValueError(
                    f"blended expects answers of the size of a tile, {expected}, got {tuple(said.shape[1:])}."
                )
            if band is None:
                band = said.new_zeros((said.shape[0], expected[0], tiling.width))
            band[:, :, columns] += said * tiling.weights((part, columns)).to(said)
        assert band is not None
        if left is not None:
            band[:, : left.shape[1]] += left
        done = rows[i + 1].start if i + 1 < len(rows) else part.stop
        yield slice(part.start, done), band[:, : done - part.start]
        left = band[:, done - part.start :].clone()


def _parts(length: int, side: int, step: int) -> list[slice]:
    """Parts of a line: all of one length but the last, which ends with the line."""
    starts = itertools.takewhile(lambda start: start == 0 or start - step + side < length, itertools.count(0, step))
    return [slice(start, min(start + side, length)) for start in starts]


def _weights(parts: list[slice], i: int, margin: int) -> Float[Tensor, " n"]:
    """Weights of one part of a line."""
    part = parts[i]
    weights = torch.ones(part.stop - part.start)
    if i > 0:
        weights *= _rise(part, parts[i - 1], margin)
    if i + 1 < len(parts):
        following = parts[i + 1]
        overlap = part.stop - following.start
        weights[-overlap:] = 1 - _rise(following, part, margin)[:overlap]
    return weights


def _rise(part: slice, previous: slice, margin: int) -> Float[Tensor, " n"]:
    """Weights of a part from 0 to 1, over its overlap with the previous one less both margins."""
    width = previous.stop - part.start - 2 * margin
    places = torch.arange(part.stop - part.start, dtype=torch.float32)
    return ((places - margin + 0.5) / width).clamp(0, 1)
