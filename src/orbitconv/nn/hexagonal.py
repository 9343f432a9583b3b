"""What networks on the hexagonal lattice need beside the convolutions: the way in, masks, norm and pools.

A convolution on an axial array is exact at every point of a hexagon or disc outside which its input is zero. Its own
output is not zero there, so something has to make it so before the next one: `HexagonalMask`, `HexagonalBatchNorm2d`
and `HexagonalPool` do. Without them the symmetry holds only away from the border, see docs/hexagons.md.
"""

from typing import Any, Literal, final

import torch
from jaxtyping import Float
from torch import Tensor, nn

from orbitconv._support.precision import at_least_float32
from orbitconv.groups import Group
from orbitconv.hexagonal import HexagonalGrid, HexagonalImage, to_hexagonal
from orbitconv.hexagonal.grid import Shape, check_shape, grid_mask, radius_of, taken_radius
from orbitconv.nn.folding.parts import HexagonalPoints, HexagonalWindows
from orbitconv.nn.norm import GroupBatchNorm2d, follow_statistics


@final
class ToHexagonal(nn.Module):
    """Resample square pictures to the hexagonal lattice, as the first layer of a network that takes pictures.

    Args:
        grid: The grid; by default that of `orbitconv.hexagonal.to_hexagonal` for the size of the pictures.
        shape: Points in use, where there is no grid.

    Shapes:
        (batch, channels, height, width) -> HexagonalImage

    Raises:
        ValueError: If the shape is unknown.
    """

    def __init__(self, grid: HexagonalGrid | None = None, *, shape: Shape = "hexagon") -> None:
        super().__init__()
        check_shape("ToHexagonal", shape)
        self.grid, self.shape = grid, shape

    def forward(self, x: Float[Tensor, "b c h w"]) -> HexagonalImage:
        """Resample `x`."""
        return to_hexagonal(x, self.grid) if self.grid is not None else to_hexagonal(x, shape=self.shape)

    def extra_repr(self) -> str:
        """The grid, for `print`."""
        return f"shape={self.shape}" if self.grid is None else str(self.grid)


@final
class HexagonalMask(nn.Module):
    """Set axial arrays to zero outside a hexagon, or the disc inside it.

    Args:
        shape: `"hexagon"` or `"disc"`.

    Shapes:
        (*, side, side) -> (*, side, side)

    Raises:
        ValueError: If the shape is unknown; at call time, if the arrays have no central point.
    """

    def __init__(self, shape: Shape = "hexagon") -> None:
        super().__init__()
        check_shape("HexagonalMask", shape)
        self.shape: Shape = shape
        self.points = HexagonalPoints(shape)

    def forward(self, x: Float[Tensor, "*b i j"]) -> Float[Tensor, "*b i j"]:
        """Mask `x`."""
        radius_of("HexagonalMask", x)
        return self.points(x)

    def extra_repr(self) -> str:
        """The shape, for `print`."""
        return self.shape


@final
class HexagonalBatchNorm2d(nn.Module):
    """Batch normalization of feature maps on hexagons: statistics over the points in use, zero outside them.

    Args:
        num_features: Fields.
        shape: Points in use.
        **options: As for `torch.nn.BatchNorm3d`.

    Shapes:
        (batch, channels, group, side, side) -> (batch, channels, group, side, side)

    Raises:
        ValueError: If the shape is unknown; at call time, if the input has another shape.
    """

    def __init__(self, num_features: int, shape: Shape = "hexagon", **options: Any) -> None:
        super().__init__()
        self.norm, self.mask = GroupBatchNorm2d(num_features, **options), HexagonalMask(shape)

    def forward(self, x: Float[Tensor, "b c g i j"]) -> Float[Tensor, "b c g i j"]:
        """Normalize `x`."""
        norm = self.norm
        unusual = x.ndim != 5 or x.shape[1] != norm.num_features or not x.numel()
        if unusual or not (self.training or norm.running_mean is None):
            return self.mask(norm(x))
        inside = grid_mask(2 * radius_of("HexagonalBatchNorm2d", x) + 1, self.mask.shape, x.device)
        dtype = at_least_float32(x.dtype)
        points, axes = inside.to(dtype), (0, 2, 3, 4)
        numbers = x.shape[0] * x.shape[2] * points.sum()
        masked = x.to(dtype) * points
        mean = masked.sum(axes) / numbers
        centred = masked - mean[:, None, None, None] * points
        variance = centred.square().sum(axes) / numbers
        if self.training and norm.running_mean is not None:
            follow_statistics(norm, mean.detach(), variance.detach() * numbers / (numbers - 1))
        scale = (variance + norm.eps).rsqrt()
        if norm.weight is None:
            return (centred * scale[:, None, None, None]).to(x.dtype)
        weight, bias = norm.weight * scale, norm.bias
        return torch.addcmul(bias[:, None, None, None] * points, centred, weight[:, None, None, None]).to(x.dtype)


@final
class HexagonalPool(nn.Module):
    """Pool every point of a sublattice with its six neighbours: one point in four, or one in three, stays.

    The points that stay are those of the largest grid of the same shape about the same centre. Turns by multiples of 60
    degrees, and mirrors, of the input do the same to the output. The axes of one point in three are a quarter turn
    ahead of those before: a left-right mirror of the input is an up-down mirror in the new axes. To keep the group axis
    of mirrored groups in step, the layer needs to know the group.

    Args:
        sublattice: 4 for every second point (planes of half the radius), 3 for points sqrt(3) apart.
        reduction: `"max"` or `"mean"`. Means are over the points in use.
        shape: Points in use.
        group: The group of the feature maps, where one in three stays; None for planes without a group axis.

    Shapes:
        (batch, channels, group, side, side) -> (batch, channels, group, side', side'); also without the group axis

    Raises:
        ValueError: If an option is unknown; the group has mirrors and an odd number of rotations, which a quarter turn
            of the axes takes to another group; at call time, if the arrays have no central point or are too small.
    """

    def __init__(
        self,
        sublattice: Literal[3, 4] = 4,
        reduction: Literal["max", "mean"] = "max",
        shape: Shape = "hexagon",
        group: Group | None = None,
    ) -> None:
        super().__init__()
        check_shape("HexagonalPool", shape)
        taken_radius("HexagonalPool", 4, sublattice, shape)
        if reduction not in {"max", "mean"}:
            raise ValueError(f"HexagonalPool expects reduction 'max' or 'mean', got {reduction!r}.")
        self.sublattice: Literal[3, 4] = sublattice
        self.reduction, self.group = reduction, group
        self.shape: Shape = shape
        half_turn = 0
        if sublattice == 3 and group is not None and group.mirrors.any():
            half_turn, odd = divmod(group.num_rotations, 2)
            if odd:
                raise ValueError(
                    "HexagonalPool with sublattice 3 expects a group whose mirrors stay in it when the axes make a "
                    f"quarter turn (D2, D4, D6, ...), got {group}. Use sublattice 4."
                )
        self.windows = HexagonalWindows(sublattice, reduction, shape, half_turn)

    def forward(self, x: Float[Tensor, "b c *g i j"]) -> Float[Tensor, "b c *g i2 j2"]:
        """Pool `x`."""
        radius = radius_of("HexagonalPool", x)
        taken_radius("HexagonalPool", radius, self.sublattice, self.shape)
        length = x.shape[2] if x.ndim == 5 else None
        expected = self.group.order if self.group is not None else None
        if length != expected and (self.sublattice == 3 or expected is not None):
            raise ValueError(
                f"HexagonalPool of one point in {self.sublattice} expects the group of its feature maps, whose mirrors "
                f"follow the turned axes, got group={self.group} and input of shape {tuple(x.shape)}. Pass group=..."
            )
        return self.windows(x)

    def extra_repr(self) -> str:
        """Options, for `print`."""
        return f"sublattice={self.sublattice}, reduction={self.reduction!r}, shape={self.shape!r}"
