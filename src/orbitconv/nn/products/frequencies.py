"""A group convolution as five steps of plain operations: transform, filter, arrange, mix, invert.

The order of the fused product, for runtimes that have convolutions and gathers only. With X(f) the transform of the
input over a cyclic group of even order N, and v the filters of angular frequency k that the basis is made of,

    Y(F) = sum over i, v of C[i, v](F - k) (v * X[i](F - k)),   C(f) = sum over m of c[m] exp(2 pi i f m / N).

All numbers are real: X lies in N / 2 pairs of planes, (X(0), X(N/2)) and (re X(f), im X(f)), and Y likewise. A basis of
rank r gives 2 r filtered planes for each pair, each of which just one pair of Y needs.
"""

import math
from collections.abc import Iterator
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from orbitconv.nn.products.kernel.structure import waves_of

_MOST = 1.25
"""Filters for each atom up to which this order is worth while."""


class Frequencies(NamedTuple):
    """Weights of the five steps; in float64.

    Args:
        transform: Weight of a 1x1 convolution in i groups, from elements to pairs.
        filters: Weight of a convolution in i N / 2 groups, which has the stride and the padding of the layer.
        order: Where each plane is taken from, so that those of a pair of Y lie together.
        mixing: Weight of a 1x1 convolution in N / 2 groups.
        back: The same for pairs of an output field.
        inverse: Weight of a 1x1 convolution in o groups, from pairs to elements.
    """

    transform: Float[Tensor, "ih h 1 1"]
    filters: Float[Tensor, "planes 2 ky kx"]
    order: Int[Tensor, " planes"]
    mixing: Float[Tensor, "og inner 1 1"]
    back: Int[Tensor, " og"]
    inverse: Float[Tensor, "og g 1 1"]


def in_frequencies(coefficients: Float[Tensor, "o i m d"], atoms: Float[Tensor, "g d ky kx"]) -> Frequencies | None:
    """The weights of the steps for a layer, from float64; None for groups of odd order, and bases not steerable."""
    (outputs, inputs, order, num_atoms), half = coefficients.shape, len(atoms) // 2
    waves = waves_of(atoms) if order % 2 == 0 else []
    rank = sum(1 if is_real else 2 for _, _, _, is_real in waves)
    if not 0 < rank <= _MOST * num_atoms:
        return None
    rows, row = [], 0
    for *_, is_real in waves:
        rows.append(row)
        row += 2 if is_real else 4
    mixing = torch.zeros(half, 2, outputs, inputs, 2 * rank, dtype=torch.float64)
    order_of = torch.zeros(half, inputs, 2 * rank, dtype=torch.int64)
    fields = torch.arange(inputs) * half
    filled = [0] * half
    for (k, _, factors, is_real), row in zip(waves, rows, strict=True):
        numbers = coefficients.to(torch.complex128) @ factors
        for output in range(half + 1):
            for sign in (1,) if is_real or output in {0, half} else (1, -1):
                source = (output - sign * k) % order
                spectrum = _spectrum(numbers if sign == 1 else numbers.conj(), source)
                doubled = 2 if output in {0, half} and not is_real else 1  # the term of the other sign is the conjugate
                block, is_single = output % half, output in {0, half}
                for plane, factor in _planes(source, sign, order, is_real=is_real):
                    slot = filled[block]
                    filled[block] += 1
                    order_of[block, :, slot] = (fields + plane[0]) * 2 * rank + row + plane[1]
                    value = doubled * factor * spectrum
                    if is_single:
                        mixing[block, output // half, :, :, slot] = value.real
                    else:
                        mixing[block, 0, :, :, slot], mixing[block, 1, :, :, slot] = value.real, value.imag
    return Frequencies(
        _transform(order).repeat(inputs, 1)[..., None, None],
        torch.cat([_filters(waves, is_first=pair == 0) for pair in range(half)]).repeat(inputs, 1, 1, 1),
        order_of.flatten(),
        mixing.flatten(3).flatten(0, 2)[..., None, None],
        torch.arange(half * 2 * outputs).view(half, 2, outputs).permute(2, 0, 1).flatten(),
        _inverse(order).repeat(outputs, 1)[..., None, None],
    )


class Plan(NamedTuple):
    """What the steps of a basis have in common, whatever the coefficients; in float64.

    Args:
        transform: From elements to pairs.
        pairs: The pair of X that each filtered plane comes from; for each pair of Y.
        filters: Its filters, of both planes of that pair.
        packing: From coefficients of a pair of fields to the factors of the filtered planes, for both planes of Y.
        inverse: From pairs to elements.
    """

    transform: Float[Tensor, "h h"]
    pairs: Int[Tensor, "f s"]
    filters: Float[Tensor, "f s 2 ky kx"]
    packing: Float[Tensor, "md f2s"]
    inverse: Float[Tensor, "g g"]


def plan_of(atoms: Float[Tensor, "g d ky kx"]) -> Plan | None:
    """The plan of a basis, from float64; None for groups of odd order, and bases that are not steerable."""
    order, num_atoms = atoms.shape[:2]
    unit = torch.eye(order * num_atoms, dtype=torch.float64).view(-1, 1, order, num_atoms)
    steps = in_frequencies(unit, atoms)
    if steps is None:
        return None
    half = order // 2
    taken, rows = steps.order.view(half, -1), len(steps.filters) // half
    return Plan(
        steps.transform[..., 0, 0],
        taken // rows,
        steps.filters[taken],
        steps.mixing.view(half, 2, len(unit), -1).permute(2, 0, 1, 3).flatten(1),
        steps.inverse[:order, :, 0, 0],
    )


def _spectrum(numbers: Tensor, frequency: int) -> Tensor:
    """C at one frequency."""
    order = numbers.shape[-1]
    return numbers @ torch.exp(2j * math.pi * frequency * torch.arange(order, dtype=torch.float64) / order)


def _planes(source: int, sign: int, order: int, *, is_real: bool) -> Iterator[tuple[tuple[int, int], complex]]:
    """The planes whose sum, with factors, is v * X(f), or conj(v) * X(f): each as pair and row among those of v."""
    half, is_mirrored = order // 2, source > order // 2
    pair = order - source if is_mirrored else source
    if source in {0, half}:  # X is real
        first = 0 if source == 0 else 1 if is_real else 2
        yield (0, first), 1
        if not is_real:
            yield (0, first + 1), sign * 1j
        return
    # X(f) is the conjugate of X(N - f), and conj(v) * conj(X) that of v * X
    first = 0 if is_real or (sign == 1) != is_mirrored else 2
    yield (pair, first), 1
    yield (pair, first + 1), -1j if is_mirrored else 1j


def _filters(waves: list[tuple[int, Tensor, Tensor, bool]], *, is_first: bool) -> Float[Tensor, "rows 2 ky kx"]:
    """The filters of one pair: v * X and conj(v) * X, as real and imaginary part."""
    rows = []
    for _, values, _, is_real in waves:
        re, im, none = values.real, values.imag, torch.zeros_like(values.real)
        if is_real:
            rows += [(re, none), (none, re)]
        elif is_first:
            rows += [(re, none), (im, none), (none, re), (none, im)]
        else:
            rows += [(re, -im), (im, re), (re, im), (-im, re)]
    return torch.stack([torch.stack(row) for row in rows])


def _transform(order: int) -> Float[Tensor, "f h"]:
    """From elements to pairs."""
    elements = torch.arange(order, dtype=torch.float64)
    waves = torch.exp(-2j * math.pi * torch.outer(elements, elements) / order)
    rows = [waves[0].real, waves[order // 2].real]
    for f in range(1, order // 2):
        rows += [waves[f].real, waves[f].imag]
    return torch.stack(rows)


def _inverse(order: int) -> Float[Tensor, "g f"]:
    """From pairs to elements."""
    scale = torch.full((order, 1), 2.0 / order, dtype=torch.float64)
    scale[:2] = 1 / order
    return (scale * _transform(order)).T.contiguous()
