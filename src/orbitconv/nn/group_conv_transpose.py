"""From the group to the group, on a finer grid: the adjoint of a group convolution."""

from collections.abc import Sequence
from typing import NoReturn, final

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from orbitconv._support.checks import Size2, as_pair
from orbitconv.bases import FilterBasis
from orbitconv.nn.products.cached import kept_filters
from orbitconv.nn.products.recompute import no_autocast
from orbitconv.nn.turned_conv import TurnedConv2d


@final
class GroupConvTranspose2d(TurnedConv2d):
    """Transposed correlation of feature maps on the group with filters on the group.

    y[b, o, h] = sum over i, g of x[b, i, g] stamped with filter[i, g, o, h], and
    filter[i, g, o, h] = sum over d of coefficients[i, o, g^-1 h, d] * basis[g, d].

    To stamp is what `torch.nn.ConvTranspose2d` does: every input pixel adds its multiple of the filter to the output,
    `stride` pixels apart. So this is the adjoint of the GroupConv2d from `out_channels` to `in_channels` with the same
    coefficients: <conv(u), x> = <u, transpose(x)>.

    Equivariant to the group as far as its basis is, at every size and stride, if `output_padding` is zero. Output
    padding adds rows and columns on one side only: the output grid loses its centre, and equivariance is off by half
    the padding. To double a side exactly, take an even kernel (2x2 with stride 2; 4x4 with stride 2 and padding 1), or
    `upsample_to` and a GroupConv2d.

    The arguments are those of `torch.nn.ConvTranspose2d`, with the basis in place of the kernel size. Those not listed
    here are as for `GroupConv2d`.

    Args:
        stride: Distance between the stamps of neighbouring input pixels, in pixels of the output.
        padding: Pixels that are cut off on every side of the output, one number or (height, width).
        output_padding: Pixels that are added below and at the right, fewer than stride or dilation; breaks
            equivariance.

    Shapes:
        (batch, in_channels, group, height, width) -> (batch, out_channels, group, height', width'), where
        height' = (height - 1) * stride - 2 * padding + dilation * (kernel_size - 1) + output_padding + 1

    Raises:
        TypeError: If the basis is not a FilterBasis; at call time, if the input has another dtype.
        ValueError: If an argument is out of range; at call time, if the input has another shape.

    Source: Cohen & Welling (2016), section 6; Dumoulin & Visin (2016), chapter 4.
    """

    _layers_before = 2

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        basis: FilterBasis | str,
        stride: Size2 = 1,
        padding: Size2 = 0,
        output_padding: Size2 = 0,
        groups: int = 1,
        bias: bool = True,
        dilation: Size2 = 1,
        *,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        owner = type(self).__name__
        if isinstance(padding, str):
            raise ValueError(f"{owner} expects padding in pixels, got {padding!r}.")  # noqa: TRY004
        super().__init__(
            in_channels, out_channels, basis, stride, padding, dilation, groups, bias, device=device, dtype=dtype
        )
        added = tuple(output_padding) if isinstance(output_padding, tuple | list) else (output_padding,) * 2
        pair = as_pair(owner, "output_padding + 1", (added[0] + 1, added[-1] + 1))
        self.output_padding = pair[0] - 1, pair[1] - 1
        limits = tuple(map(max, self.stride, self.dilation))
        if len(added) != 2 or any(a >= limit for a, limit in zip(self.output_padding, limits, strict=True)):
            raise ValueError(
                f"{owner} expects output_padding below stride or dilation, {limits}, got {output_padding!r}."
            )

    def _coefficient_shape(self, in_channels: int) -> tuple[int, ...]:  # noqa: ARG002
        return self.in_channels, self.out_channels // self.groups, self.group.order, self.basis.num_atoms

    def _fan_in(self) -> float:
        """Stamps meet at a pixel from all input planes, but only from every `stride`-th pixel of them."""
        return self.in_channels // self.groups * self.group.order / (self.stride[0] * self.stride[1])

    def forward(
        self, x: Float[Tensor, "b i g h1 w1"], output_size: Sequence[int] | None = None
    ) -> Float[Tensor, "b o g h2 w2"]:
        """Stamp the filters as `x` says; an `output_size`, height and width, decides the output padding.

        Raises:
            ValueError: If no output padding leads to `output_size`.
        """
        self.check_features(x)
        planes, added = x.flatten(1, 2), self._added(x, output_size)
        return self._stamp(planes, added).unflatten(1, (self.out_channels, self.group.order))

    def convolve(self, x: Float[Tensor, "b ig h w"]) -> Float[Tensor, "b oh h2 w2"]:
        """Stamp the filters of every group element on planes, channels and group flattened in this order."""
        return self._stamp(x, self.output_padding)

    def _stamp(self, planes: Tensor, added: tuple[int, int]) -> Tensor:
        bias = None if self.bias is None else self.bias.repeat_interleave(self.group.order)
        with no_autocast(planes):
            weight = kept_filters(self, lambda: self._expand(self.coefficients, self._atoms()), channels_last=False)
        padding = self.padding[0], self.padding[2]
        return F.conv_transpose2d(planes, weight, bias, self.stride, padding, added, self.groups, self.dilation)

    def _added(self, x: Tensor, output_size: Sequence[int] | None) -> tuple[int, int]:
        """The output padding."""
        if output_size is None:
            return self.output_padding
        added = tuple(
            wanted - ((side - 1) * stride - 2 * padding + dilation * (kernel - 1) + 1)
            for wanted, side, stride, padding, dilation, kernel in zip(
                tuple(output_size)[-2:], x.shape[-2:], self.stride, self.padding[::2], self.dilation, self.kernel_size,
                strict=True,
            )
        )  # fmt: skip
        if any(not 0 <= a < max(s, d) for a, s, d in zip(added, self.stride, self.dilation, strict=True)):
            raise ValueError(
                f"GroupConvTranspose2d cannot make planes of {tuple(output_size)[-2:]} pixels from "
                f"{tuple(x.shape[-2:])} with stride {self.stride}: that needs an output padding of {added}."
            )
        return added[0], added[1]

    @torch.no_grad()
    def to_conv_transpose2d(self) -> nn.ConvTranspose2d:
        """This layer as a plain transposed convolution of planes, with the filters of now, expanded in float64.

        `layer.to_conv_transpose2d()(x.flatten(1, 2))` equals `layer(x).flatten(1, 2)`.
        """
        weight = self._exact_weight()
        plain = nn.ConvTranspose2d(
            weight.shape[0], weight.shape[1] * self.groups, self.kernel_size, self.stride,
            (self.padding[0], self.padding[2]), self.output_padding, self.groups, self.bias is not None, self.dilation,
            device="meta",  # or torch would draw random weights
        )  # fmt: skip
        return self._filled(plain, weight)

    def to_conv2d(self) -> NoReturn:
        """Refused: a transposed convolution is no convolution.

        Raises:
            TypeError: Always.
        """
        raise TypeError("GroupConvTranspose2d is no convolution. Take to_conv_transpose2d().")

    def extra_repr(self) -> str:
        """Channels and options, for `print`."""
        return super().extra_repr() + (f", output_padding={self.output_padding}" if any(self.output_padding) else "")
