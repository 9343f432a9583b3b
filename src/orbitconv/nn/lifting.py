"""From the plane to the group."""

from typing import final

from jaxtyping import Float
from torch import Tensor

from orbitconv.hexagonal import HexagonalImage
from orbitconv.hexagonal.image import planes_of
from orbitconv.nn.conv import BasisConv2d
from orbitconv.nn.products.dense import expand_lifting


@final
class LiftingConv2d(BasisConv2d):
    """Lift a planar image to feature maps on the group: correlate it with every transformed copy of a filter.

    y[b, o, g] = sum over i of x[b, i] correlated with filter[o, g, i], and
    filter[o, g, i] = sum over d of coefficients[o, i, d] * basis[g, d].

    Equivariant to the group as far as its basis is: transforming the input transforms every output plane and permutes
    the group axis (`orbitconv.groups.act_features`). Exactly so for the elements that map the pixel grid to itself, if
    the output grid keeps the centre (see `keeps_centre`) and padding is the same on all sides.

    The arguments are those of `torch.nn.Conv2d`, with the basis in place of the kernel size; `GroupConv2d` lists them.

    Shapes:
        (batch, in_channels, height, width) -> (batch, out_channels, group, height', width')

    With a basis on hexagons it takes a `HexagonalImage`, and returns feature maps of axial arrays as plain tensors.

    Raises:
        TypeError: If the basis is not a FilterBasis; at call time, if the input has another dtype, or is on another
            lattice than the basis.
        ValueError: If an argument is out of range; at call time, if the input has another shape.

    Source: Cohen & Welling (2016), section 6; Diaconu & Worrall (2019), section 2.2.
    """

    _layers_before = 0

    def _coefficient_shape(self, in_channels: int) -> tuple[int, ...]:
        return self.out_channels, in_channels, self.basis.num_atoms

    def _expand(
        self,
        coefficients: Float[Tensor, "o i d"],
        atoms: Float[Tensor, "g d ky kx"],
        channels_last: bool = False,  # noqa: ARG002, such small weights are not worth it
    ) -> Float[Tensor, "og i ky kx"]:
        return expand_lifting(coefficients, atoms)

    def forward(self, x: Float[Tensor, "b i h w"] | HexagonalImage) -> Float[Tensor, "b o g h2 w2"]:
        """Correlate `x` with the filter at every group element."""
        x = planes_of("LiftingConv2d", x, hexagonal=self.basis.lattice == "hexagonal")
        if x.ndim != 4 or x.shape[1] != self.in_channels:
            hint = " It is on a group already: use GroupConv2d." if x.ndim == 5 else ""
            raise ValueError(
                f"LiftingConv2d expects input of shape (batch, {self.in_channels}, height, width), got "
                f"{tuple(x.shape)}.{hint}"
            )
        self.check_dtype(x)
        return self.convolve(x).unflatten(1, (self.out_channels, self.group.order))
