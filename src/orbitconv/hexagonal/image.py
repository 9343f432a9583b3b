"""Images on the hexagonal lattice, a type of their own."""

from dataclasses import dataclass, replace
from typing import Any, final

from jaxtyping import Float
from torch import Tensor

from orbitconv.hexagonal.grid import HexagonalGrid, grid_mask


@final
@dataclass(frozen=True)
class HexagonalImage:
    """Values at the points of a hexagonal grid.

    An axial array cannot be told from a square image by its shape; so layers on hexagons ask for this type where a
    picture comes in, and layers on squares refuse it. Behind that, features are plain tensors of axial arrays.

    Args:
        values: Axial arrays; what they hold outside the points in use does not count.
        grid: The grid.

    Shapes:
        (batch, channels, side, side)

    Raises:
        TypeError: If the values are no tensor, or the grid is none.
        ValueError: If the values are not of the grid.
    """

    values: Float[Tensor, "b c i j"]
    grid: HexagonalGrid

    def __post_init__(self) -> None:
        if not isinstance(self.values, Tensor) or not isinstance(self.grid, HexagonalGrid):
            raise TypeError(
                "HexagonalImage expects a tensor of axial arrays and a HexagonalGrid, got "
                f"{type(self.values).__name__} and {type(self.grid).__name__}."
            )
        if self.values.ndim != 4:
            raise ValueError(
                f"HexagonalImage expects values of shape (batch, channels, side, side), got {tuple(self.values.shape)}."
            )
        self.grid.check(self.values)

    def planes(self) -> Float[Tensor, "b c i j"]:
        """The axial arrays that layers work on: zero outside the points in use."""
        return self.values.masked_fill(~grid_mask(self.grid.side, self.grid.shape, self.values.device), 0)

    def to(self, *args: Any, **kwargs: Any) -> "HexagonalImage":
        """The same image on another device or in another dtype, as `torch.Tensor.to` says."""
        return replace(self, values=self.values.to(*args, **kwargs))


def planes_of(owner: str, x: Any, *, hexagonal: bool) -> Tensor:
    """The arrays of an image, if it is on the lattice that a layer works on."""
    if isinstance(x, HexagonalImage):
        if not hexagonal:
            raise TypeError(
                f"{owner} has filters on square pixels, got a HexagonalImage. Take a basis on hexagons, such as "
                "hexagonal-exact-c6-k3, or go back with orbitconv.hexagonal.to_square."
            )
        return x.planes()
    if hexagonal and isinstance(x, Tensor):
        raise TypeError(
            f"{owner} has filters on hexagons and expects a HexagonalImage, got a tensor of shape {tuple(x.shape)}, "
            "which a square image has as well. Resample pictures with orbitconv.hexagonal.to_hexagonal or the layer "
            "orbitconv.nn.ToHexagonal; wrap axial arrays as HexagonalImage(values, grid)."
        )
    return x
