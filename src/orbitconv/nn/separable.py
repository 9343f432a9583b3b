"""Group convolutions in steps: turned filters on single planes, then mixing of the group axis and of channels."""

import math
from typing import Any, Literal, final

import torch
from jaxtyping import Float
from torch import Tensor, nn

from orbitconv._support.checks import Size2, check_positive
from orbitconv.bases import ExactBasis, FilterBasis
from orbitconv.nn.conv import BasisConv2d, Padding, PaddingMode
from orbitconv.nn.group_conv import GroupConv2d
from orbitconv.nn.products.dense import expand_lifting


@final
class DepthwiseGroupConv2d(BasisConv2d):
    """Correlate every plane of feature maps on the group with one filter, turned as the plane is.

    y[b, i, g] = x[b, i, g] correlated with filter[i, g], and
    filter[i, g] = sum over d of coefficients[i, d] * basis[g, d].

    Equivariant as GroupConv2d is: the action of r turns plane g and moves it to r g, where the filter of g waits,
    turned alike. Neither channels nor group elements see each other; SeparableGroupConv2d mixes them afterwards.

    Args:
        channels: Channels of input and output for each group element.
        **options: `bias`, `padding_mode`, `device`, `dtype` and `recompute`; these and the others as for GroupConv2d.

    Shapes:
        (batch, channels, group, height, width) -> (batch, channels, group, height', width')

    Raises:
        ValueError: If an argument is out of range; at call time, if the input has another shape.
        TypeError: If the basis is not a FilterBasis; at call time, if the input has another dtype.
    """

    _layers_before = 2

    def __init__(
        self,
        channels: int,
        basis: FilterBasis | str,
        stride: Size2 = 1,
        padding: Padding = 0,
        dilation: Size2 = 1,
        **options: Any,
    ) -> None:
        super().__init__(channels, channels, basis, stride, padding, dilation, **options)
        self.groups = channels * self.group.order  # of planes: each is by itself

    def _coefficient_shape(self, in_channels: int) -> tuple[int, ...]:  # noqa: ARG002
        return self.out_channels, 1, self.basis.num_atoms

    def _expand(
        self,
        coefficients: Float[Tensor, "o 1 d"],
        atoms: Float[Tensor, "g d ky kx"],
        channels_last: bool = False,  # noqa: ARG002, such small weights are not worth it
    ) -> Float[Tensor, "og 1 ky kx"]:
        return expand_lifting(coefficients, atoms)

    @torch.no_grad()
    def reset_parameters(self) -> None:
        """Draw coefficients so that planes keep their mean square; no ReLU follows whose half had to be made up for."""
        super().reset_parameters()
        self.coefficients.mul_(math.sqrt(0.5))

    def forward(self, x: Float[Tensor, "b i g h w"]) -> Float[Tensor, "b i g h2 w2"]:
        """Correlate every plane of `x` with its filter."""
        self.check_features(x)
        return self.convolve(x.flatten(1, 2)).unflatten(1, (self.out_channels, self.group.order))


@final
class SeparableGroupConv2d(nn.Module):
    """A group convolution in two or three cheaper steps: planes, then group axis and channels at every pixel.

    y1[b, i, h] = x[b, i, h] correlated with psi[i, h],    psi[i, h] = sum over d of spatial[i, d] * basis[h, d], and
    y[b, o, g]  = sum over i, h of mixing[o, i, g^-1 h] * y1[b, i, h];    with `mixing="separable"`
    mixing[o, i, m] = channels[o, i] * mixing[i, m].

    It is the group convolution of filter[o, g, i, h] = mixing[o, i, g^-1 h] * psi[i, h]: for each pair of fields and
    relative element m one number instead of one filter. The steps are equivariant one by one, the first as far as the
    basis is (DepthwiseGroupConv2d), the others as correlations on the group and as maps that treat all elements alike.

    For I fields in, O out, N = |G|, D atoms of K x K pixels, parameters and multiply-adds of an output pixel are

        GroupConv2d     I O N D          I O N^2 K^2
        "full"          I D + I O N      I N K^2 + I O N^2     (2 I O N + (I + O) N^2 for the last with `fourier`)
        "separable"     I D + I N + I O  I N K^2 + I N^2 + I O N

    The other arguments are those of `GroupConv2d`.

    Args:
        mixing: `"full"`: group axis and channels at once; `"separable"`: the group axis of each channel, then channels.
        fourier: Whether to mix with the group axis in Fourier space, as for GroupConv2d.

    Shapes:
        (batch, in_channels, group, height, width) -> (batch, out_channels, group, height', width')

    Raises:
        TypeError: If the basis is not a FilterBasis; at call time, if the input has another dtype.
        ValueError: If an argument is out of range; at call time, if the input has another shape.

    Source: Lengyel & van Gemert (2021), Exploiting learned symmetries in group equivariant convolutions; Knigge, Romero
        & Bekkers (2022), Exploiting redundancy: separable group convolutional networks on Lie groups.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        basis: FilterBasis | str,
        stride: Size2 = 1,
        padding: Padding = 0,
        dilation: Size2 = 1,
        bias: bool = True,
        padding_mode: PaddingMode = "zeros",
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        *,
        mixing: Literal["full", "separable"] = "full",
        fourier: bool | Literal["auto"] = "auto",
    ) -> None:
        super().__init__()
        check_positive("SeparableGroupConv2d", in_channels=in_channels, out_channels=out_channels)
        if mixing not in {"full", "separable"}:
            raise ValueError(f"SeparableGroupConv2d expects mixing 'full' or 'separable', got {mixing!r}.")
        factory = {"device": device, "dtype": dtype}
        self.in_channels, self.out_channels = in_channels, out_channels
        self.spatial = DepthwiseGroupConv2d(
            in_channels, basis, stride, padding, dilation, bias=False, padding_mode=padding_mode, **factory
        )
        self.group, self.kernel_size = self.spatial.group, self.spatial.kernel_size
        pixel, at_once = ExactBasis(self.group, 1), mixing == "full"
        self.mixing = GroupConv2d(
            in_channels,
            out_channels if at_once else in_channels,
            pixel,
            groups=1 if at_once else in_channels,
            bias=bias and at_once,
            fourier=fourier,
            **factory,
        )
        self.channels = None if at_once else _ChannelMixing(in_channels, out_channels, 1, bias=bias, **factory)
        self.reset_parameters()

    @torch.no_grad()
    def reset_parameters(self) -> None:
        """Draw parameters so that activations keep their mean square through layers with ReLU, for any basis."""
        self.spatial.reset_parameters()
        self.mixing.reset_parameters()
        if self.channels is not None:  # the last step alone makes up for what the ReLU takes
            self.mixing.coefficients.mul_(math.sqrt(0.5))
            self.channels.weight.normal_(std=math.sqrt(2 / self.in_channels))
            if self.channels.bias is not None:
                self.channels.bias.zero_()

    def forward(self, x: Float[Tensor, "b i h h1 w1"]) -> Float[Tensor, "b o g h2 w2"]:
        """Correlate the planes of `x`, and mix them."""
        y = self.mixing(self.spatial(x))
        return y if self.channels is None else self.channels(y)


class _ChannelMixing(nn.Conv2d):
    """A 1x1 convolution of feature maps on the group, the same at every element: all elements as one tall plane."""

    def forward(self, input: Float[Tensor, "b i g h w"]) -> Float[Tensor, "b o g h w"]:  # noqa: A002
        return super().forward(input.flatten(2, 3)).unflatten(2, input.shape[2:4])
