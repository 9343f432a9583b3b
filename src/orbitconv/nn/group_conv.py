"""From the group to the group."""

from collections.abc import Callable
from typing import Any, final

import torch
from jaxtyping import Float
from torch import Tensor

from orbitconv.bases import FilterBasis
from orbitconv.nn.conv import BasisConv2d
from orbitconv.nn.expansion import expand_group


@final
class GroupConv2d(BasisConv2d):
    """Correlate feature maps on the group with filters on the group.

    y[b, o, g] = sum over i, h of x[b, i, h] correlated with filter[o, g, i, h], and
    filter[o, g, i, h] = sum over d of coefficients[o, i, g^-1 h, d] * basis[g, d].

    Equivariant to the group as far as its basis is: transforming the input planes and permuting their group axis
    does the same to the output (`orbitconv.groups.act_features`). Exactly so for the elements that map the pixel grid
    to itself, if the output grid keeps the centre (see `keeps_centre`) and padding is the same on all sides.
    A basis of kernel size 1 gives the 1x1 layer, which mixes channels and the group axis.

    The arguments are those of `torch.nn.Conv2d`, with the basis in place of the kernel size.

    Args:
        in_channels: Channels of the input for each group element.
        out_channels: Channels of the output for each group element.
        basis: Filter basis, or the name of one that comes with the package (`orbitconv.bases.list_bases`); it brings
            the group and the kernel size.
        stride: Step of the output grid, in pixels.
        padding: Padding in pixels, one number or (height, width); `"same"` or `"valid"`. `"same"` pads even kernels
            more on one side, as torch does, which breaks exact equivariance.
        dilation: Distance between the pixels of a filter.
        groups: Number of blocks that channels are divided into; a channel keeps its group axis whole.
        bias: Whether to add a bias for each output channel, the same at all group elements.
        padding_mode: `"zeros"`, `"reflect"`, `"replicate"` or `"circular"`.
        device: Device of the parameters.
        dtype: Dtype of the parameters.

    Shapes:
        (batch, in_channels, group, height, width) -> (batch, out_channels, group, height', width')

    Raises:
        TypeError: If the basis is not a FilterBasis; at call time, if the input has another dtype.
        ValueError: If an argument is out of range; at call time, if the input has another shape.

    Source: Cohen & Welling (2016), section 6; Diaconu & Worrall (2019), section 2.2.
    """

    _layers_before = 2
    quotient: Tensor

    def __init__(
        self, in_channels: int, out_channels: int, basis: FilterBasis | str, *args: Any, **kwargs: Any
    ) -> None:
        super().__init__(in_channels, out_channels, basis, *args, **kwargs)
        self.register_buffer("quotient", torch.from_numpy(self.group.quotient.copy()), persistent=False)
        self._write_table()

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> "GroupConv2d":
        """Move the layer, and write the group table anew beside its coefficients, also after a stay on meta.

        Args:
            fn: What `nn.Module` would do to each tensor.
            recurse: As in `nn.Module`.

        Returns:
            This module.
        """
        super()._apply(fn, recurse)
        self._write_table()
        return self

    def _load_from_state_dict(self, *args: Any, **kwargs: Any) -> None:
        """Load coefficients, and bring the group table to where they are: `assign=True` may take them off meta."""
        super()._load_from_state_dict(*args, **kwargs)
        self._write_table()

    def _write_table(self) -> None:
        self.quotient = torch.from_numpy(self.group.quotient.copy()).to(self.coefficients.device)

    def _coefficient_shape(self, in_channels: int) -> tuple[int, ...]:
        return self.out_channels, in_channels, self.group.order, self.basis.num_atoms

    def filters(self) -> Float[Tensor, "og ih ky kx"]:
        """The expanded filters.

        Returns:
            Weight of shape (out_channels * |G|, in_channels * |G| / groups, height, width).
        """
        return expand_group(self.coefficients, self.basis(self.coefficients.dtype), self.quotient)

    def forward(self, x: Float[Tensor, "b i h h1 w1"]) -> Float[Tensor, "b o g h2 w2"]:
        """Correlate `x` with the filter at every group element."""
        order = self.group.order
        if x.ndim != 5:
            raise ValueError(
                f"GroupConv2d expects input of shape (batch, {self.in_channels}, {order}, height, width), got "
                f"{tuple(x.shape)}. Lift planar input with LiftingConv2d first."
            )
        if x.shape[2] != order:
            raise ValueError(
                f"GroupConv2d expects a group axis of length {order} ({self.group}), got input of shape "
                f"{tuple(x.shape)} with {x.shape[2]} at dim 2. Lift planar input with LiftingConv2d first."
            )
        if x.shape[1] != self.in_channels:
            raise ValueError(
                f"GroupConv2d expects {self.in_channels} channels at dim 1, got input of shape {tuple(x.shape)}."
            )
        self.check_dtype(x)
        return self.convolve(x.flatten(1, 2)).unflatten(1, (self.out_channels, order))
