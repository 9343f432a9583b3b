r"""The product of a group layer with its group axis in Fourier space: fewer multiply-adds where the group is cyclic.

A filter on the group turns with the output element g alone, so the layer factorises, for every basis:

    z[o, d, g] = sum over i, h of coefficients[o, i, g^-1 h, d] * x[i, h]        mixing, at every pixel
    y[o, g]    = sum over d of z[o, d, g] correlated with basis[g, d]            atoms, plane by plane

Mixing is a correlation on the group. On a cyclic group a Fourier transform of the axis makes it a product of one
complex number for each pair of fields and frequency. In real numbers, with waves (cos, sin) as rows of an orthogonal
matrix Q, Q S^m Q^T of the shift S by m elements has blocks of two rows and columns, one for each frequency f:

    [[cos, sin], [-sin, cos]](2 pi f m / N),    and diag(1, (-1)^m) for the frequencies 0 and N/2 together.

Multiply-adds for every pixel, I fields in, O out, N even, D atoms of K x K pixels:

    dense      I O N^2 K^2
    Fourier    2 I O N D  (mixing)  +  O N D K^2  (atoms, not for K = 1)  +  (I + O D) N^2  (transforms)

The first term, which is most of the second line for many fields, is smaller than dense by N K^2 / (2 D). With a stride,
mixing and transforms run on the larger grid of the input.

No use is made of how the basis turns. Where its atoms are D filters v of angular frequencies k, turned by phases
exp(2 pi i k g / N), frequencies of input and output differ by k: y^[F] = sum over v of c^[k - F, v] (x^[F - k] * v).
With atoms first the count is the one above, at the size of the output. As one convolution for each F and each of the n
different k it is 2 n / N of the dense count: 1.25 for C8 with |k| <= 2, so nothing is gained by that.
"""

import math
from typing import NamedTuple

import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Float
from torch import Tensor

from orbitconv.nn.conv import BasisConv2d, is_channels_last

CHUNK = 3_000_000
"""Numbers of `z` at a time: more of them fall out of the caches. A larger batch is taken in parts."""


class FourierTables(NamedTuple):
    """The Fourier transform of a cyclic group in real numbers, frequencies in pairs of rows.

    Args:
        waves: Orthogonal rows Q: (1, (-1)^g), then (cos, sin)(2 pi f g / N) for each frequency, of unit norm. For odd
            N the second row is zero.
        shifts: Block f of Q S^m Q^T, for the shift S^m by every element m.
    """

    waves: Float[Tensor, "f 2 g"]
    shifts: Float[Tensor, "f 2 2 m"]


def fourier_tables(order: int) -> FourierTables:
    """The tables of a cyclic group, in float64, for (N + 1) // 2 pairs."""
    g = torch.arange(order, dtype=torch.float64, device="cpu")
    angles = 2 * math.pi * torch.arange((order + 1) // 2, dtype=torch.float64, device="cpu")[:, None] * g / order
    cos, sin = torch.cos(angles), torch.sin(angles)
    shifts = torch.stack([torch.stack([cos, sin], 1), torch.stack([-sin, cos], 1)], 1)
    alternating = (-1) ** g if order % 2 == 0 else torch.zeros_like(g)
    shifts[0, 1, 1] = alternating
    waves = torch.stack([cos, sin], 1) * math.sqrt(2 / order)
    waves[0] = torch.stack([torch.ones_like(g), alternating]) / math.sqrt(order)
    return FourierTables(waves, shifts)


def correlate_in_fourier_space(
    x: Float[Tensor, "b ih h w"],
    coefficients: Float[Tensor, "o i m d"],
    atoms: Float[Tensor, "g d ky kx"],
    tables: FourierTables,
    options: tuple[tuple[int, int], tuple[int, int], tuple[int, int], int],
) -> Float[Tensor, "b o g h2 w2"]:
    """What a group layer computes of planes, without its bias; options are those of `conv2d`, groups included."""
    stride, padding, dilation, blocks = options
    order, waves = len(atoms), tables.waves.flatten(0, 1)
    is_pointwise, is_last = atoms.shape[2:] == (1, 1), is_channels_last(x)
    if is_pointwise:
        x = F.pad(x, (padding[1], padding[1], padding[0], padding[0])) if any(padding) else x  # which would copy
        x = x[..., :: stride[0], :: stride[1]]
    (batch, _, height, width), inputs = x.shape, coefficients.shape[1]  # of a block

    if is_last:
        numbers = x.permute(0, 2, 3, 1).unflatten(3, (blocks * inputs, order)) @ waves.T
        spectrum = rearrange(numbers, "b h w (c i) (f q) -> (f c) (b h w) (q i)", q=2, c=blocks)
    else:
        numbers = waves @ x.view(batch, blocks * inputs, order, height, width).permute(2, 1, 0, 3, 4).flatten(1)
        pixels = batch * height * width
        parts = numbers.view(len(tables.waves), 2, blocks, inputs, pixels)  # f q c i p
        spectrum = parts.transpose(1, 2).reshape(len(tables.waves) * blocks, 2 * inputs, pixels).mT
    weight = _block_weights(coefficients, tables.shifts, blocks)

    if is_pointwise:
        back = (waves.T[:, :, None] * atoms[:, None, :, 0, 0]).flatten(1)
        sizes = {"c": blocks, "r": 2, "d": atoms.shape[1]}
        if is_last:
            mixed = rearrange(spectrum @ weight, "(f c) p (r d o) -> p (c o) (f r d)", **sizes)
            return (mixed @ back.T).unflatten(0, (batch, height, width)).permute(0, 3, 4, 1, 2)
        mixed = rearrange(weight.mT @ spectrum.mT, "(f c) (r d o) p -> (f r d) (c o p)", **sizes)
        y = (back @ mixed).unflatten(1, (len(coefficients), batch, height, width))
        return y.permute(2, 1, 0, 3, 4).contiguous()

    # Channels last from here on, which is faster for depthwise convolutions.
    # These shapes are written out, as einops takes half as long as the work in small layers.
    per_block, frequencies = weight.shape[2] // 2, len(tables.waves)
    mixed = (spectrum @ weight).view(frequencies, blocks, batch * height * width, 2, per_block)  # f c p r do
    mixed = mixed.permute(2, 0, 3, 1, 4).reshape(batch * height * width, len(waves), blocks * per_block)
    z = (waves.T @ mixed).view(batch, height, width, order * blocks * per_block).permute(0, 3, 1, 2)
    filters = atoms[:, None, :, None].expand(-1, blocks, -1, len(coefficients) // blocks, -1, -1)  # g c d o ky kx
    filters = filters.reshape(-1, 1, *atoms.shape[2:])
    y = F.conv2d(z, filters, None, stride, padding, dilation, len(filters))
    y = y.permute(0, 2, 3, 1)
    y = y.view(*y.shape[:3], order, blocks, atoms.shape[1], len(coefficients) // blocks)
    y = y.sum(5, dtype=y.dtype)  # autocast would sum to float32
    if is_last:
        y = y.permute(0, 1, 2, 4, 5, 3).reshape(*y.shape[:3], len(coefficients), order)
        return y.contiguous().permute(0, 3, 4, 1, 2)
    return y.permute(0, 4, 5, 3, 1, 2).reshape(batch, len(coefficients), order, *y.shape[1:3]).contiguous()


def _block_weights(
    coefficients: Float[Tensor, "o i m d"], shifts: Float[Tensor, "f 2 2 m"], blocks: int
) -> Float[Tensor, "fc qi rdo"]:
    """What mixing multiplies the numbers of each frequency with, for every block of channels."""
    # einsum would take one and a half times as long, which shows in small layers.
    (f, r, q, m), (o, i, _, d) = shifts.shape, coefficients.shape
    weight = shifts.flatten(0, 2) @ coefficients.permute(2, 1, 3, 0).reshape(m, -1)
    weight = weight.view(f, r, q, i, d, blocks, o // blocks)
    return weight.permute(0, 5, 2, 3, 1, 4, 6).reshape(f * blocks, q * i, -1)


class Work(NamedTuple):
    """What both products of a group layer on a cyclic group have to do, for every pixel of the output.

    Args:
        dense: Multiply-adds of one convolution with expanded filters, borders aside.
        fourier: Multiply-adds with the group axis in Fourier space.
        arranged: Numbers of input and output, which the Fourier product puts in another order.
        between: Numbers of `z`.
        weights: Numbers of the expanded weight; once, not for every pixel.
    """

    dense: float
    fourier: float
    arranged: float
    between: float
    weights: float


def work_of(layer: BasisConv2d) -> Work:
    """Count the work of a `GroupConv2d` on a cyclic group; the zero row of odd N counts, as it is multiplied."""
    order, area, num_atoms = layer.group.order, math.prod(layer.kernel_size), layer.basis.num_atoms
    rows, z, steps = 2 * ((order + 1) // 2), layer.out_channels * num_atoms, math.prod(layer.stride)
    pairs = layer.in_channels * layer.out_channels / layer.groups
    fourier = 2 * rows * pairs * num_atoms + rows * order * (layer.in_channels + z)
    dense = pairs * order**2 * area
    if area == 1:  # only the pixels that the stride leaves are looked at, and atoms are part of the way back
        return Work(dense, fourier, order * (layer.in_channels + layer.out_channels), 0, dense)
    arranged = order * (steps * layer.in_channels + layer.out_channels)
    return Work(dense, fourier * steps + z * order * area, arranged, steps * order * z, dense)


def images_at_a_time(work: Work, pixels: int) -> int:
    """How many images the Fourier product takes together."""
    return max(1, int(CHUNK // max(held(work) * pixels, 1)))


def held(work: Work) -> float:
    """Numbers that are in memory for each pixel: `z`, or the input and the output of 1x1 layers in another order."""
    return float(max(work.between, work.arranged))
