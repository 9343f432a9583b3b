"""Second moments of images on the hexagonal lattice and their turned copies, as `learn.moments` has those of pixels.

Multiples of 60 degrees and mirrors are exact moves of the lattice; for C12 and D12 only the turn by 30 degrees is
measured, by the symmetric cubic spline of `orbitconv.hexagonal`.
"""

from collections.abc import Iterable
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from orbitconv._support.checks import check_finite
from orbitconv._support.precision import without_autocast
from orbitconv.bases.orbits import Lattice, support_of
from orbitconv.groups import Group
from orbitconv.hexagonal.grid import AXES, HexagonalGrid
from orbitconv.hexagonal.image import HexagonalImage
from orbitconv.hexagonal.spline import HexagonalSpline
from orbitconv.learn.patch_sums import PatchSums

_POINTS_AT_ONCE = 40_000
"""Samples of an image that are taken in one step."""


class HexagonalMoments(PatchSums):
    """Running sums of second moments on hexagons; feed it batches of images with `update`.

    They are matrices of the whole axial array of a filter, zero beside its hexagon, so that every basis and measure
    that takes `Moments` takes these too, for bases on hexagons.

    Args:
        group: The group.
        kernel_size: Side of the filters' axial arrays: 3, 5, 7 for the radii 1, 2, 3.
        standardize: Give every image zero mean and unit variance over the hexagon, so that each counts alike.

    Attributes:
        num_images: Images added so far; every channel counts as one.
        num_points: Patches added so far.

    Raises:
        ValueError: If the side is even: such an array has no central tap.
    """

    lattice: ClassVar[Lattice] = "hexagonal"

    def __init__(self, group: Group, kernel_size: int, *, standardize: bool = True) -> None:
        super().__init__(group, kernel_size)
        self.standardize = standardize
        self.support = torch.from_numpy(support_of(self.kernel_size, "hexagonal"))

    @without_autocast
    def update(self, image: HexagonalImage) -> "HexagonalMoments":
        """Add a batch of images; every channel counts as a grey image. Constant images are left out.

        Args:
            image: Images on a whole hexagon; best resampled with `padding_mode="reflect"`.

        Returns:
            These moments.

        Raises:
            TypeError: If the images are not on hexagons.
            ValueError: If a value is not finite, the grid is a disc, whose border the spline would see, or too small.
        """
        planes = self._prepare(image)
        grid = HexagonalGrid(image.grid.radius)
        radius = self.kernel_size[0] // 2
        points = torch.from_numpy(grid.positions[:, grid.mask])
        points = points[:, torch.hypot(*points) + radius <= grid.radius * AXES[0, 0] + 1e-9]
        if not points.shape[1]:
            raise ValueError(
                f"HexagonalMoments expects a grid with room for filters of radius {radius} at every angle, got radius "
                f"{grid.radius}. Use a larger grid or a smaller kernel."
            )
        taps = torch.from_numpy(HexagonalGrid(radius).positions).flatten(1)[:, self.support]
        own = torch.meshgrid(self.support.nonzero()[:, 0], self.support.nonzero()[:, 0], indexing="ij")
        at_once = max(1, _POINTS_AT_ONCE // taps.shape[1])
        for chunk in planes.split(100):
            spline = HexagonalSpline(chunk)
            for slot, g in enumerate(self.measured):
                back = torch.from_numpy(self.group.matrix(g).T.copy())
                for some in points.split(at_once, dim=1):
                    # The turned response map of a tap, f(g^-1 t + x), and the turned image's patch, f(g^-1 (t + x)).
                    y = _patches(spline, (back @ some)[:, None] + taps[:, :, None])
                    turned = (back @ (some[:, None] + taps[:, :, None]).flatten(1)).reshape(2, taps.shape[1], -1)
                    x = y if g == 0 else _patches(spline, turned)
                    for row, (a, b) in enumerate(((x, x), (x, y), (y, y))):
                        self.sums[row, slot][own] += a @ b.T
        self.num_images += len(planes)
        self.num_points += len(planes) * points.shape[1]
        return self

    def _prepare(self, image: HexagonalImage) -> Float[Tensor, "n i j"]:
        """Check a batch, make its channels grey images, standardize them."""
        if not isinstance(image, HexagonalImage):
            raise TypeError(
                f"HexagonalMoments expects a HexagonalImage, got {type(image).__name__}. Resample pictures with "
                "orbitconv.hexagonal.to_hexagonal."
            )
        if image.grid.shape != "hexagon":
            raise ValueError(
                "HexagonalMoments expects images on a whole hexagon, got a disc, whose border would count as an edge."
            )
        planes = image.planes().detach().cpu().flatten(0, 1)
        check_finite("HexagonalMoments", "images", planes)
        if not self.standardize:
            return planes
        inside = torch.from_numpy(image.grid.mask)
        values = planes[:, inside]
        spread = values.std(1, correction=0)
        kept = spread > 1e-6 * values.abs().amax(1)
        scaled = (planes - values.mean(1)[:, None, None]) / spread[:, None, None]
        self.num_constant += int((~kept).sum())
        return (scaled * inside)[kept]


def _patches(spline: HexagonalSpline, points: Float[Tensor, "2 x t"]) -> Float[Tensor, "x n"]:
    """Samples of all images, one row for each tap."""
    values = spline.at(points.flatten(1)).double()
    return values.unflatten(1, points.shape[1:]).transpose(0, 1).flatten(1)


def measure_hexagonal_moments(
    images: HexagonalImage | Iterable[HexagonalImage], group: Group, kernel_size: int, *, standardize: bool = True
) -> HexagonalMoments:
    """Measure the second moments of images on hexagons in one pass.

    Args:
        images: One batch, or any iterable of batches; whiten them before they are resampled, if at all.
        group: The group.
        kernel_size: Side of the filters' axial arrays: 3, 5, 7 for the radii 1, 2, 3.
        standardize: Give every image zero mean and unit variance.

    Returns:
        The moments; `SpectralBasis` and `UnitaryBasis` make bases on hexagons of them.

    Raises:
        ValueError: If there are fewer patches than twice the taps of a filter.
    """
    moments = HexagonalMoments(group, kernel_size, standardize=standardize)
    for batch in [images] if isinstance(images, HexagonalImage) else images:
        moments.update(batch)
    taps = int(moments.support.sum())
    if moments.num_points < 2 * taps:
        raise ValueError(
            f"measure_hexagonal_moments expects at least {2 * taps} patches to tell {taps} taps apart, got "
            f"{moments.num_points} from {moments.num_images} images. Use more or larger images."
        )
    return moments
