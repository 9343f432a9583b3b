"""What the fused product knows of a basis: its filters of one angular frequency each, as tables.

For a cyclic group of order N, every basis is a sum of waves over the group with complex filters v as factors:

    basis[g, d] = sum over n of a[d, n] exp(2 pi i k_n g / N) v_n,    for every frequency k_n its negative as well

One v gives one number for k = 0 and N/2 and two for the others. How many numbers there are in all, the rank, is the
number D of atoms where the basis obeys the law of the group (the span of all rotated atoms is that of the atoms), as
spectral, harmonic and unitary bases do, and up to N D where it does not. If quarter turns are exact, v(R p) = i^k v(p).
"""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from orbitconv.nn.products.kernel.cosets import Cosets

_ORDERS = (4, 8, 12, 16)
_SIDES = (3, 5, 7)
_MOST = 1.25
"""Numbers for each atom up to which the fused product is taken."""
_EXACT = 3e-7
"""Largest deviation from the atoms, relative to the largest number of one: the rounding of float32."""


@dataclass(frozen=True, eq=False)
class Structure:
    """A basis as the fused product reads it.

    Args:
        order: Number N of group elements.
        side: Height and width of the kernel, in pixels.
        rank: Numbers r that take the place of atoms.
        products: Number G of real matrix products, 2 + 3 (N / 2 - 1).
        classes: Rows of the filters of frequency 0, 2, and 1 or 3 modulo 4.
        matrices: What orbits of four pixels are multiplied with, one class after another.
        terms: A row for each term of the product: pair of planes, kind, product, slot, rows of four numbers.
        signs: Factors of the second, third and fourth of these.
        pack: From coefficients to factors of the matrix products.
        pack_transposed: The same for the gradient of the input.
        unpack: The transpose of `pack`, for the gradient of the coefficients.
        cosets: Where the basis is one of a dihedral group: what brings its coefficients to the rotations.
    """

    order: int
    side: int
    rank: int
    products: int
    classes: tuple[int, int, int]
    matrices: Float[Tensor, " c"]
    terms: Int[Tensor, "t 8"]
    signs: Float[Tensor, "t 3"]
    pack: Float[Tensor, "md gr"]
    pack_transposed: Float[Tensor, "md gr"]
    unpack: Float[Tensor, "gr md"]
    cosets: Cosets | None = None

    @property
    def copies(self) -> int:
        """Fields on the rotations for each field of the layer."""
        return 1 if self.cosets is None else 2

    def spread(self, coefficients: Float[Tensor, "o i g d"]) -> Float[Tensor, "o2 i2 m d"]:
        """Coefficients of a layer on the rotations."""
        return coefficients if self.cosets is None else self.cosets.spread(coefficients)


@dataclass(frozen=True)
class _Wave:
    """One filter v of frequency k; its numbers are rows `row` and, if it is complex, `row + 1`."""

    frequency: int
    values: Tensor  # ky kx, complex
    factors: Tensor  # d, complex
    row: int
    is_real: bool


def structure_of(atoms: Float[Tensor, "g d ky kx"]) -> Structure | None:
    """Find the structure of a basis of a cyclic group, in float64; None for what the fused product does not take."""
    order, num_atoms, side, width = atoms.shape
    if order not in _ORDERS or side not in _SIDES or width != side or not atoms.isfinite().all() or not atoms.any():
        return None
    atoms = atoms.detach().to("cpu", torch.float64)
    found = waves_of(atoms)
    rank = sum(1 if is_real else 2 for _, _, _, is_real in found)
    if rank > _MOST * num_atoms:
        return None
    orbits = _orbits(side)
    waves, classes, row = [], [0, 0, 0], 0
    for number, kind in enumerate(((0,), (2,), (1, 3))):
        for frequency, values, factors, is_real in found:
            if frequency % 4 in kind:
                waves.append(_Wave(frequency, values, factors, row, is_real))
                row += 1 if is_real else 2
                classes[number] += 1 if is_real else 2
    if not _turns_exactly(waves, orbits, side) or not _agrees(waves, atoms):
        return None
    terms, signs = _terms(waves, order, rank)
    pack = _packing(waves, order, num_atoms, rank, transposed=False).float()
    return Structure(
        order,
        side,
        rank,
        2 + 3 * (order // 2 - 1),
        (classes[0], classes[1], classes[2]),
        _matrices(waves, orbits, side).float().contiguous(),
        torch.tensor(terms),
        torch.tensor(signs, dtype=torch.float32),
        pack.contiguous(),
        _packing(waves, order, num_atoms, rank, transposed=True).float().contiguous(),
        pack.T.contiguous(),
    )


def waves_of(atoms: Float[Tensor, "g d ky kx"]) -> list[tuple[int, Tensor, Tensor, bool]]:
    """Write a basis of a cyclic group of even order as waves over the group.

    Returns frequency, filter and factor of every atom of each wave, and whether both are real.
    """
    order, _, side, _ = atoms.shape
    spectrum = torch.fft.fft(atoms.flatten(2), dim=0) / order
    least = 1e-7 * spectrum.abs().max().item()
    found = []
    for k in range(order // 2 + 1):
        is_real = k in {0, order // 2}
        left, sizes, right = torch.linalg.svd(spectrum[k].real if is_real else spectrum[k], full_matrices=False)
        for n in range(int((sizes > least).sum())):
            values, factors = right[n].view(side, side), left[:, n] * sizes[n]
            found.append((k, values.to(torch.complex128), factors.to(torch.complex128), is_real))
    return found


def _orbits(side: int) -> list[list[tuple[int, int]]]:
    """The pixels around the centre in orbits of quarter turns."""
    orbits, centre = [], side // 2
    for y in range(centre):
        for x in range(centre + 1):
            orbit = [(y, x)]
            for _ in range(3):
                orbit.append((orbit[-1][1], side - 1 - orbit[-1][0]))
            orbits.append(orbit)
    return orbits


def _turns_exactly(waves: list[_Wave], orbits: list[list[tuple[int, int]]], side: int) -> bool:
    """Whether v(R p) = i^k v(p), which for the centre means 0 unless k is a multiple of 4."""
    for wave in waves:
        values, largest = wave.values, wave.values.abs().max() * _EXACT
        if wave.frequency % 4 and values[side // 2, side // 2].abs() > largest:
            return False
        for orbit in orbits:
            for turn, (y, x) in enumerate(orbit):
                if (values[y, x] - 1j ** (wave.frequency * turn) * values[orbit[0]]).abs() > largest:
                    return False
    return True


def _agrees(waves: list[_Wave], atoms: Float[Tensor, "g d ky kx"]) -> bool:
    """Whether the waves make up the atoms."""
    elements, total = torch.arange(len(atoms), dtype=torch.float64, device="cpu"), torch.zeros_like(atoms)
    for wave in waves:
        phases = torch.exp(2j * math.pi * wave.frequency * elements / len(atoms))
        part = torch.einsum("g,d,yx->gdyx", phases, wave.factors, wave.values).real
        total += part if wave.is_real else 2 * part
    return bool((total - atoms).abs().max() <= _EXACT * atoms.abs().max())


def _matrices(waves: list[_Wave], orbits: list[list[tuple[int, int]]], side: int) -> Float[Tensor, " c"]:
    """Rows of every class; orbits are summed to (a + b + c + d), (a - b + c - d), or (a - c) and (b - d)."""
    rows = []
    for wave in waves:
        first, rest = torch.stack([wave.values[orbit[0]] for orbit in orbits]), wave.frequency % 4
        if rest == 0:
            row = torch.cat([first, wave.values[side // 2, side // 2].view(1)])
        elif rest == 2:
            row = first
        else:
            row = torch.cat([first, (1j if rest == 1 else -1j) * first])
        rows += [row.real] if wave.is_real else [row.real, row.imag]
    return torch.cat(rows)


def _terms(waves: list[_Wave], order: int, rank: int) -> tuple[list[list[int]], list[list[float]]]:
    """What every product is made of, for each filtered plane."""
    half, terms, signs = order // 2, [], []
    for wave in waves:
        for output in range(half + 1):
            product = output if output == 0 else 1 if output == half else 3 * output - 1
            if output in {0, half}:  # the real part of one term is half of the sum over both signs of k
                kind, with_sign = (1 if wave.is_real else 2), (1,)
            else:
                kind, with_sign = 3, ((1,) if wave.is_real else (1, -1))
            for slot, sign in enumerate(with_sign):
                pair, rows, factors = _numbers(wave, sign, (output - sign * wave.frequency) % order, order, rank)
                terms.append([pair, kind, product, wave.row + slot, *rows])
                signs.append(factors)
    return terms, signs


def _numbers(
    wave: _Wave, sign: int, frequency: int, order: int, rank: int
) -> tuple[int, tuple[int, int, int, int], list[float]]:
    """Where v * X(f), or conj(v) * X(f), is found: X(f) is the conjugate of X(N - f)."""
    row, none = wave.row, 2 * rank
    is_mirrored = frequency > order // 2
    frequency = order - frequency if is_mirrored else frequency
    mirror = -1.0 if is_mirrored else 1.0
    side = sign * mirror  # conj(v * conj(X)) = conj(v) * X
    if frequency in {0, order // 2}:
        first = 0 if frequency == 0 else rank
        return 0, (first + row, none, none if wave.is_real else first + row + 1, none), [0.0, side, 0.0]
    if wave.is_real:
        return frequency, (row, none, rank + row, none), [0.0, mirror, 0.0]
    return frequency, (row, rank + row + 1, rank + row, row + 1), [-side, mirror, mirror * side]


def _packing(waves: list[_Wave], order: int, num_atoms: int, rank: int, *, transposed: bool) -> Float[Tensor, "md gr"]:
    """From coefficients[m, d] to the factors of every product and slot, with the scale of the way back in them."""
    half, size = order // 2, order * num_atoms
    elements = torch.arange(order, device="cpu")
    unit = torch.eye(size, dtype=torch.complex128, device="cpu").view(size, order, num_atoms)
    packing = torch.zeros(size, 2 + 3 * (half - 1), rank, dtype=torch.float64, device="cpu")

    def put(output: int, slot: int, factor: Tensor) -> None:
        parts = (factor.real, factor.imag, factor.real + factor.imag)
        for n, part in enumerate(parts):
            packing[:, 3 * output - 1 + n, slot] = part * 2 / order

    def spectrum(numbers: Tensor, frequency: int) -> Tensor:
        return numbers @ torch.exp(2j * math.pi * frequency * elements / order).to(numbers)

    for wave in waves:
        k, row, numbers = wave.frequency, wave.row, unit @ wave.factors
        if transposed:  # filters are mirrored, which for even N is the turn by N / 2
            numbers = numbers[:, -elements % order] * torch.exp(2j * math.pi * k * (elements + half) / order)
        for product, output in ((0, 0), (1, half)):
            factor = spectrum(numbers, output - k) / order
            if wave.is_real:
                packing[:, product, row] = factor.real
            else:
                packing[:, product, row], packing[:, product, row + 1] = 2 * factor.real, -2 * factor.imag
        for output in range(1, half):
            put(output, row, spectrum(numbers, output - k))
            if not wave.is_real:
                put(output, row + 1, spectrum(numbers.conj(), output + k))
    return packing.flatten(1)
