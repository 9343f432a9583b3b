"""Plain formulas of a folded network for which torch has no module; they are valid for every size of plane.

Folding looks inside these modules, so that only torch's own operations remain.
"""

import math
from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn

from orbitconv.nn.flat import at_each_element, pool_elements
from orbitconv.nn.invariants import bispectrum, triple_correlation
from orbitconv.nn.nonlinearities import REACH, half_band_taps, shorten_pairs


class Unchanged(nn.Module):
    """Dropout in inference."""

    def forward(self, x: Tensor) -> Tensor:
        """Return `x`."""
        return x


class Whole(nn.Module):
    """A layer of the library that stays as it is, and is one node of the graph."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: Tensor) -> Tensor:
        """Call the layer."""
        return self.layer(x)


class Succession(nn.Sequential):
    """Modules one after the other, of which the first takes any arguments."""

    def forward(self, *inputs: Any, **named: Any) -> Any:
        """Call one on what the other returned."""
        first, *others = self
        output = first(*inputs, **named)
        for module in others:
            output = module(output)
        return output


class OnPlanes(nn.Module):
    """A planar module, applied to every plane of a feature map on a group."""

    def __init__(self, planar: nn.Module) -> None:
        super().__init__()
        self.planar = planar

    def forward(self, x: Float[Tensor, "b c g h w"]) -> Float[Tensor, "b c g h2 w2"]:
        """Apply the module."""
        return self.planar(x.flatten(1, 2)).unflatten(1, (x.shape[1], x.shape[2]))


class TransposedOnPlanes(nn.Module):
    """A transposed convolution of every plane of a feature map on a group, whose output size may be given."""

    def __init__(self, planar: nn.ConvTranspose2d, split: nn.Unflatten) -> None:
        super().__init__()
        self.planar, self.split = planar, split

    def forward(
        self, x: Float[Tensor, "b c g h w"], output_size: Sequence[int] | None = None
    ) -> Float[Tensor, "b c2 g h2 w2"]:
        """Apply the convolution, and split its channels."""
        return self.split(self.planar(x.flatten(1, 2), output_size))


class PixelNorm(nn.Module):
    """Layer normalization over channels and group axis at every pixel, scale and shift spread over the group."""

    def __init__(self, weight: Tensor | None, bias: Tensor | None, eps: float) -> None:
        super().__init__()
        self.eps = eps
        copies = (None if values is None else nn.Parameter(values.detach().clone()) for values in (weight, bias))
        self.weight, self.bias = copies

    def forward(self, x: Float[Tensor, "b c g h w"]) -> Float[Tensor, "b c g h w"]:
        """Normalize."""
        centred = x - x.mean((1, 2), keepdim=True)
        y = centred * (centred.square().mean((1, 2), keepdim=True) + self.eps).rsqrt()
        if self.weight is not None:
            y = y * self.weight.reshape(-1, 1, 1, 1)
        return y if self.bias is None else y + self.bias.reshape(-1, 1, 1, 1)


class Blur(nn.Module):
    """The two low-passes of BlurPool2d as one formula, so that one graph serves even and odd sizes."""

    even: Tensor
    step: Tensor

    def __init__(self) -> None:
        super().__init__()
        even, odd = torch.tensor([0.0, 2.0, 6.0, 6.0, 2.0]) / 16, torch.tensor([1.0, 4.0, 6.0, 4.0, 1.0]) / 16
        self.register_buffer("even", even)
        self.register_buffer("step", odd - even)

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h2 w2"]:
        """Blur, and take every second pixel."""
        down = (self.even + x.shape[2] % 2 * self.step).to(x.dtype)
        across = (self.even + x.shape[3] % 2 * self.step).to(x.dtype)
        y = F.pad(x.flatten(0, 1).unsqueeze(1), (2, 2, 2, 2), mode="reflect")
        y = F.conv2d(y, down.reshape(1, 1, 5, 1), stride=(2, 1))
        y = F.conv2d(y, across.reshape(1, 1, 1, 5), stride=(1, 2))
        return y.squeeze(1).unflatten(0, (x.shape[0], x.shape[1]))


class OverGroup(nn.Module):
    """Maximum, mean or both over the group axis."""

    def __init__(self, reduction: str) -> None:
        super().__init__()
        self.reduction = reduction

    def forward(self, x: Float[Tensor, "b c g h w"]) -> Float[Tensor, "b c h w"]:
        """Pool over the group."""
        if self.reduction == "mean-max":
            return torch.cat([x.mean(2), x.amax(2)], 1)
        return x.amax(2).clone() if self.reduction == "max" else x.mean(2)


class Bispectrum(nn.Module):
    """The products of GroupBispectrum."""

    waves: Tensor

    def __init__(self, waves: Tensor, eps: float) -> None:
        super().__init__()
        self.eps, self.order = eps, waves.shape[2]
        self.register_buffer("waves", waves)

    def forward(self, x: Float[Tensor, "b c g h w"]) -> Float[Tensor, "b cn h w"]:
        """Transform, and multiply."""
        return bispectrum(x, self.waves.type_as(x), self.order, self.eps)


class TripleCorrelation(nn.Module):
    """The products of GroupTripleCorrelation."""

    def __init__(self, shifts: Sequence[Sequence[int]], pairs: Sequence[tuple[int, int]], eps: float) -> None:
        super().__init__()
        self.shifts, self.pairs, self.eps = shifts, pairs, eps

    def forward(self, x: Float[Tensor, "b c g h w"]) -> Float[Tensor, "b cn h w"]:
        """Shift, and multiply."""
        return triple_correlation(x, self.shifts, self.pairs, self.eps)


class ShortenedPairs(nn.Module):
    """The arithmetic of PairNormReLU."""

    def __init__(self, threshold: Tensor, eps: float) -> None:
        super().__init__()
        self.eps = eps
        self.threshold = nn.Parameter(threshold.detach().clone())

    def forward(self, x: Float[Tensor, "b c *rest"]) -> Float[Tensor, "b c *rest"]:
        """Shorten every pair."""
        return shorten_pairs(x, self.threshold, self.eps)


class ResampledReLU(nn.Module):
    """FilteredReLU by convolutions, so that one graph serves every size."""

    taps: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("taps", half_band_taps())

    def forward(self, x: Float[Tensor, "*lead h w"]) -> Float[Tensor, "*lead h w"]:
        """Up, ReLU, down."""
        taps = self.taps.type_as(x)
        planes = x.reshape(-1, 1, x.shape[-2], x.shape[-1])
        for shape in ((1, 1, -1, 1), (1, 1, 1, -1)):
            planes = self._up(planes, 2 * taps.reshape(shape), tall=shape[2] == -1)
        planes = F.relu(planes)
        for shape in ((1, 1, -1, 1), (1, 1, 1, -1)):
            planes = self._down(planes, taps.reshape(shape), tall=shape[2] == -1)
        return planes.reshape(x.shape)

    def _up(self, planes: Tensor, taps: Tensor, *, tall: bool) -> Tensor:
        """Zeros between pixels, filled by the low-pass; what the padding brought is cut off."""
        cut = 4 * REACH - 1
        if tall:
            padded = F.pad(planes, (0, 0, REACH, REACH), mode="replicate")
            return F.conv_transpose2d(padded, taps, stride=(2, 1), padding=(cut, 0))
        padded = F.pad(planes, (REACH, REACH, 0, 0), mode="replicate")
        return F.conv_transpose2d(padded, taps, stride=(1, 2), padding=(0, cut))

    def _down(self, planes: Tensor, taps: Tensor, *, tall: bool) -> Tensor:
        """Low-pass, and every second sample."""
        reach = 2 * REACH - 1
        if tall:
            return F.conv2d(F.pad(planes, (0, 0, reach, reach), mode="replicate"), taps, stride=(2, 1))
        return F.conv2d(F.pad(planes, (reach, reach, 0, 0), mode="replicate"), taps, stride=(1, 2))


class OnSamples(nn.Module):
    """A plain module, applied at every group element of features whose group axis is flattened."""

    def __init__(self, module: nn.Module, order: int, axis: int) -> None:
        super().__init__()
        self.module, self.order, self.axis = module, order, axis

    def __getattr__(self, name: str) -> Any:
        """Options of the module, for code that asks."""
        try:
            return super().__getattr__(name)
        except AttributeError:
            return getattr(super().__getattr__("module"), name)

    def forward(self, x: Tensor) -> Tensor:
        """Apply the module."""
        return at_each_element(self.module, x, self.order, self.axis)


class RepeatPlanes(nn.Module):
    """Every plane several times."""

    def __init__(self, order: int) -> None:
        super().__init__()
        self.order = order

    def forward(self, x: Tensor) -> Tensor:
        """Repeat."""
        return x.repeat_interleave(self.order, 1)


class OverFlatGroup(nn.Module):
    """Maximum or mean over a group axis that is flattened into the channels."""

    def __init__(self, order: int, axis: int, reduction: str) -> None:
        super().__init__()
        self.order, self.axis, self.reduction = order, axis, reduction

    def forward(self, x: Tensor) -> Tensor:
        """Pool over the group."""
        return pool_elements(x, self.axis, self.order, self.reduction)


class Gather(nn.Module):
    """An axis in another order."""

    index: Tensor

    def __init__(self, dim: int, index: Tensor) -> None:
        super().__init__()
        self.dim = dim
        self.register_buffer("index", index.clone())

    def forward(self, x: Tensor) -> Tensor:
        """Gather."""
        return x.index_select(self.dim, self.index)


class UpsampleTo(nn.Module):
    """Both interpolations of `upsample_to` as one formula, so that one graph serves even and odd sizes."""

    def forward(self, x: Float[Tensor, "*lead h w"], size: tuple[int, int]) -> Float[Tensor, "*lead h2 w2"]:
        """Interpolate both axes."""
        return _upsample_axis(_upsample_axis(x, -2, size[0]), -1, size[1])


def _upsample_axis(x: Tensor, dim: int, side: int) -> Tensor:
    """Read pixel i at (i - 1/2) / 2 for even sides, at i / 2 for odd ones."""
    steps = x.new_ones([side], dtype=torch.float32).cumsum(0) - 1
    places = steps / 2 - 0.25 * (1 - side % 2)
    lower = places.floor()
    before = x.index_select(dim, lower.clamp(min=0).long())
    after = x.index_select(dim, (lower + 1).clamp(max=x.shape[dim] - 1).long())
    share = (places - lower).to(x.dtype)
    return before + (after - before) * (share if dim == -1 else share.unsqueeze(-1))


class HexagonalPoints(nn.Module):
    """Axial arrays, zero outside a hexagon or the disc inside it."""

    def __init__(self, shape: str) -> None:
        super().__init__()
        self.shape = shape

    def forward(self, x: Float[Tensor, "*lead i j"]) -> Float[Tensor, "*lead i j"]:
        """Mask `x`."""
        return x * _points_in_use(x, x.shape[-1], self.shape).to(x.dtype)


class HexagonalWindows(nn.Module):
    """Maximum or mean over a point and its neighbours, where one point in four, or one in three, stays."""

    def __init__(self, sublattice: int, reduction: str, shape: str, half_turn: int) -> None:
        super().__init__()
        self.sublattice, self.reduction, self.shape, self.half_turn = sublattice, reduction, shape, half_turn

    def forward(self, x: Float[Tensor, "*lead i j"]) -> Float[Tensor, "*lead i2 j2"]:
        """Pool `x`."""
        inside = _points_in_use(x, x.shape[-1], self.shape)
        if self.reduction == "max":
            y = torch.stack(self._windows(x.masked_fill(~inside, -math.inf), -math.inf)).amax(0)
        else:
            points = inside.to(x.dtype)
            counts = torch.stack(self._windows(points, 0.0)).sum(0).clamp(min=1)
            y = torch.stack(self._windows(x * points, 0.0)).sum(0) / counts
        y = y.masked_fill(~_points_in_use(y, y.shape[-1], self.shape), 0)
        if not self.half_turn:
            return y
        turns, mirrors = y.chunk(2, 2)  # of a group with mirrors, whose axes have made a quarter turn
        return torch.cat([turns, mirrors.roll(self.half_turn, 2)], 2)

    def _windows(self, x: Float[Tensor, "*lead i j"], outside: float) -> list[Float[Tensor, "*lead i2 j2"]]:
        """For each of seven offsets the points at this offset from those that stay."""
        centre = x.shape[-1] // 2 + 1
        # The hexagon of every third point is turned: its corners are the middles of the sides. 1 / sqrt(3) in integers.
        third_of_disc = self.sublattice == 3 and self.shape == "disc"
        fits = (centre - 1) * 577350269 // 1000000000 if third_of_disc else (centre - 1) // 2
        padded = F.pad(x, (1, 1, 1, 1), value=outside)
        offsets = ((0, 0), (0, 1), (0, -1), (1, 0), (-1, 0), (1, -1), (-1, 1))
        if self.sublattice == 4:
            first, last = centre - 2 * fits, centre + 2 * fits + 1
            return [padded[..., first + a : last + a : 2, first + b : last + b : 2] for a, b in offsets]
        side = 2 * fits + 1
        axis = x.new_ones([side], dtype=torch.int64).cumsum(0) - fits - 1
        i, j = axis.unsqueeze(1), axis.unsqueeze(0)
        kept = _points_in_use(x, side, self.shape)
        rows, cols = centre - i - 2 * j, centre + 2 * i + j  # the new axes are the old ones after a quarter turn
        flat, width = padded.flatten(-2), x.shape[-1] + 2
        places = (((rows + a) * width + cols + b) * kept for a, b in offsets)
        return [flat.index_select(-1, index.flatten()).unflatten(-1, (side, side)) for index in places]


def _points_in_use(x: Tensor, side: int, shape: str) -> Bool[Tensor, "i j"]:
    """The points of an axial array of this side that are in use."""
    axis = x.new_ones([side], dtype=torch.float32).cumsum(0) - (side + 1) / 2
    i, j, radius = axis.unsqueeze(1), axis.unsqueeze(0), side // 2
    inside = (i + j).abs() <= radius
    return inside if shape == "hexagon" else inside & (4 * (i * i + i * j + j * j) <= 3 * radius * radius)
