"""The base of lifting and group convolutions: the arguments of `torch.nn.Conv2d` around an expanded weight."""

import copy
import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from functools import partial
from typing import ClassVar, Literal, TypeVar

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from orbitconv._support.checks import Size2, as_pair, check_positive
from orbitconv.bases import FilterBasis, load_basis
from orbitconv.nn.initialisation import mean_square_gain
from orbitconv.nn.products.cached import kept_filters
from orbitconv.nn.products.recompute import no_autocast, recomputed_conv2d

PaddingMode = Literal["zeros", "reflect", "replicate", "circular"]
Padding = Size2 | Literal["same", "valid"]
Plain = TypeVar("Plain", nn.Conv2d, nn.ConvTranspose2d)


def is_channels_last(planes: Float[Tensor, "b c h w"]) -> bool:
    """Whether planes are stored channels last, which is then the layout of output and weight of `conv2d`."""
    return planes.stride(1) == 1 and not planes.is_contiguous()


def is_dense(planes: Float[Tensor, "b c h w"]) -> bool:
    """Whether planes fill their memory, contiguous or channels last; by strides, which `torch.vmap` knows too."""
    shape, steps = planes.shape, planes.stride()
    return any(_are_steps(shape, steps, axes) for axes in ((3, 2, 1, 0), (1, 3, 2, 0)))


def _are_steps(shape: tuple[int, ...], steps: tuple[int, ...], axes: tuple[int, ...]) -> bool:
    """Whether axes follow each other in memory, the quickest first."""
    step = 1
    for axis in axes:
        if shape[axis] != 1 and steps[axis] != step:
            return False
        step *= shape[axis]
    return True


class BasisConv2d(nn.Module, ABC):
    """A convolution whose filters are coefficients in a basis, one copy for every group element.

    A basis without parameters is copied into the layer, so that layers and models share no state; a basis that
    trains stays shared between the layers it was given to.

    The arguments are those of `torch.nn.Conv2d`, with the basis in place of the kernel size; `GroupConv2d` lists them.

    Args:
        recompute: Whether to expand the filters once more for the backward pass instead of keeping them from the
            forward pass. Values and gradients are the same. Under `torch.compile` it changes nothing: the compiler
            plans by itself what to keep.

    Raises:
        TypeError: If the basis is not a FilterBasis, or a count is not an integer.
        ValueError: If a count is below one, `groups` does not divide the channels, or padding does not fit.
    """

    # Layers that the input is taken to have gone through, for the initialisation.
    _layers_before: ClassVar[int]
    padding_mode: PaddingMode

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        basis: FilterBasis | str,
        stride: Size2 = 1,
        padding: Padding = 0,
        dilation: Size2 = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: PaddingMode = "zeros",
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        *,
        recompute: bool = False,
    ) -> None:
        super().__init__()
        owner = type(self).__name__
        basis = load_basis(basis) if isinstance(basis, str) else basis
        if not isinstance(basis, FilterBasis):
            raise TypeError(
                f"{owner} expects a FilterBasis, or the name of one, as third argument, got {type(basis).__name__}. "
                "Build one first, for example ExactBasis(Cyclic(4), kernel_size=3)."
            )
        check_positive(owner, in_channels=in_channels, out_channels=out_channels, groups=groups)
        if in_channels % groups or out_channels % groups:
            raise ValueError(
                f"{owner} expects groups to divide in_channels and out_channels, got groups={groups} for "
                f"{in_channels} and {out_channels} channels."
            )
        self.in_channels, self.out_channels, self.groups = in_channels, out_channels, groups
        self.group, self.kernel_size = basis.group, basis.kernel_size
        self.stride = as_pair(owner, "stride", stride)
        self.dilation = as_pair(owner, "dilation", dilation)
        self.padding = _resolve_padding(owner, padding, self)
        if padding_mode not in {"zeros", "reflect", "replicate", "circular"}:
            raise ValueError(
                f"{owner} expects padding_mode 'zeros', 'reflect', 'replicate' or 'circular', got {padding_mode!r}."
            )
        self.padding_mode, self.recompute = padding_mode, recompute
        device = torch.get_default_device() if device is None else torch.device(device)
        shares = any(True for _ in basis.parameters())
        self.basis = basis if shares else copy.deepcopy(basis).to(device)
        shape = self._coefficient_shape(in_channels // groups)
        self.coefficients = nn.Parameter(torch.empty(shape, device=device, dtype=dtype))
        self.bias = nn.Parameter(torch.empty(out_channels, device=device, dtype=dtype)) if bias else None
        self.reset_parameters()

    @abstractmethod
    def _coefficient_shape(self, in_channels: int) -> tuple[int, ...]:
        """Shape of the coefficients for the channels of one block."""

    @abstractmethod
    def _expand(
        self, coefficients: Float[Tensor, "o i *m d"], atoms: Float[Tensor, "g d ky kx"], channels_last: bool = False
    ) -> Float[Tensor, "og i2 ky kx"]:
        """The weight of the equivalent `conv2d`, as a function of coefficients and atoms.

        Where it is cheap, `channels_last` puts it in memory as `conv2d` wants it beside such input.
        """

    def filters(self) -> Float[Tensor, "og i ky kx"]:
        """The expanded filters, the weight of the equivalent `conv2d`: (out_channels |G|, planes / groups, ky, kx)."""
        return self._expand(self.coefficients, self._atoms())

    def _atoms(self) -> Float[Tensor, "g d ky kx"]:
        return self.basis(self.coefficients.dtype)

    @torch.no_grad()
    def reset_parameters(self) -> None:
        """Draw coefficients so that activations keep their mean square through layers with ReLU, for any basis.

        Raises:
            ValueError: If the basis has no finite atoms.
        """
        if not self.coefficients.is_meta:
            gain = mean_square_gain(self.basis(torch.float64).detach(), self._layers_before)
            if not math.isfinite(gain) or gain <= 0:
                raise ValueError(
                    f"{type(self).__name__} expects a basis of finite atoms, got one that amplifies by {gain}. A basis "
                    "that was built on the meta device has no atoms until a state dict is loaded."
                )
            self.coefficients.normal_(std=math.sqrt(2 / (self._fan_in() * gain)))
        if self.bias is not None:
            self.bias.zero_()

    def _fan_in(self) -> float:
        """Filters that a number of the output is a sum of."""
        return self.coefficients[0, ..., 0].numel()

    def convolve(self, x: Float[Tensor, "b i h w"]) -> Float[Tensor, "b og h2 w2"]:
        """Correlate planes with the filters of every group element; channels and group are flattened in this order."""
        bias = None if self.bias is None else self.bias.repeat_interleave(self.group.order)
        x, padding = self.pad(x)
        return self._correlate(x, self._expand, bias, padding, self.groups)

    def _correlate(
        self,
        x: Float[Tensor, "b i h w"],
        expand: Callable[..., Tensor],
        bias: Float[Tensor, " og"] | None,
        padding: tuple[int, int],
        groups: int,
    ) -> Float[Tensor, "b og h2 w2"]:
        """One `conv2d` with the filters that `expand` makes of coefficients and atoms, kept or recomputed as asked."""
        options = self.stride, padding, self.dilation, groups
        channels_last = is_channels_last(x)
        recompute = self.recompute and not torch.compiler.is_compiling()
        expand = partial(expand, channels_last=channels_last)
        with no_autocast(x):
            if recompute:
                made = self._atoms()
            else:
                made = kept_filters(self, lambda: expand(self.coefficients, self._atoms()), channels_last=channels_last)
        if recompute:
            return recomputed_conv2d(x, self.coefficients, made, bias, expand, options)
        return F.conv2d(x, made, bias, *options)

    def pad(self, x: Float[Tensor, "b i h w"]) -> tuple[Float[Tensor, "b i h2 w2"], tuple[int, int]]:
        """Pad planes where `conv2d` cannot: uneven padding, or another mode than zeros.

        Also returns the zeros that `conv2d` is left to add, as (height, width).
        """
        top, bottom, left, right = self.padding
        if self.padding_mode == "zeros" and (top, left) == (bottom, right):
            return x, (top, left)
        mode = "constant" if self.padding_mode == "zeros" else self.padding_mode
        return F.pad(x, (left, right, top, bottom), mode=mode), (0, 0)

    @torch.no_grad()
    def to_conv2d(self) -> nn.Conv2d:
        """This layer as a plain convolution with a copy of the current filters, which are expanded in float64.

        It takes and returns planes: `layer.to_conv2d()(x.flatten(1, 2))` equals `layer(x).flatten(1, 2)`, where planar
        input needs no flattening.
        """
        weight = self._exact_weight()
        top, bottom, left, right = self.padding
        plain = nn.Conv2d(
            weight.shape[1] * self.groups,
            weight.shape[0],
            self.kernel_size,
            self.stride,
            (top, left) if (top, left) == (bottom, right) else "same",
            self.dilation,
            self.groups,
            self.bias is not None,
            self.padding_mode,
            device="meta",  # or torch would draw random weights
        )
        return self._filled(plain, weight)

    def _exact_weight(self) -> Float[Tensor, "og i2 ky kx"]:
        """The weight of the equivalent `conv2d`, expanded in float64."""
        with no_autocast(self.coefficients):
            return self._expand(self.coefficients.double(), self.basis(torch.float64)).to(self.coefficients.dtype)

    def _filled(self, plain: Plain, weight: Tensor) -> Plain:
        """A plain layer of planes with a weight, and the bias of this layer."""
        plain.weight = nn.Parameter(weight)
        if self.bias is not None:
            plain.bias = nn.Parameter(self.bias.repeat_interleave(self.group.order))
        return plain.train(self.training)

    def check_features(self, x: Tensor) -> None:
        """Refuse input that is not a feature map on the group of this layer, with its channels and dtype.

        Raises:
            ValueError: If the shape does not fit.
        """
        owner, order = type(self).__name__, self.group.order
        if x.ndim != 5:
            raise ValueError(
                f"{owner} expects input of shape (batch, {self.in_channels}, {order}, height, width), got "
                f"{tuple(x.shape)}. Lift planar input with LiftingConv2d first."
            )
        if x.shape[2] != order:
            raise ValueError(
                f"{owner} expects a group axis of length {order} ({self.group}), got input of shape "
                f"{tuple(x.shape)} with {x.shape[2]} at dim 2. Lift planar input with LiftingConv2d first."
            )
        if x.shape[1] != self.in_channels:
            raise ValueError(
                f"{owner} expects {self.in_channels} channels at dim 1, got input of shape {tuple(x.shape)}."
            )
        self.check_dtype(x)

    def check_dtype(self, x: Tensor) -> None:
        """Refuse input of another dtype than the coefficients, unless autocast takes care of it.

        Raises:
            TypeError: If the dtypes differ.
        """
        if x.dtype != self.coefficients.dtype and not torch.is_autocast_enabled(x.device.type):
            raise TypeError(
                f"{type(self).__name__} expects input of its own dtype {self.coefficients.dtype}, got {x.dtype}. "
                f"Convert the input with x.to({self.coefficients.dtype}), or the layer with .to(x.dtype)."
            )

    def extra_repr(self) -> str:
        """Channels and options, for `print`."""
        parts = [f"{self.in_channels}, {self.out_channels}, stride={self.stride}, padding={self.padding}"]
        if self.dilation != (1, 1):
            parts.append(f"dilation={self.dilation}")
        if self.groups != 1:
            parts.append(f"groups={self.groups}")
        if self.bias is None:
            parts.append("bias=False")
        if self.padding_mode != "zeros":
            parts.append(f"padding_mode={self.padding_mode}")
        if self.recompute:
            parts.append("recompute=True")
        return ", ".join(parts)


def keeps_centre(size: int, kernel_size: int, *, stride: int = 1, padding: int = 0, dilation: int = 1) -> bool:
    """Whether the output grid of a convolution or pooling is centred on the input grid.

    Only then do quarter turns of the input turn the output exactly. With stride 1 that holds at every size. With stride
    2, a 3x3 kernel and padding 1 it holds for odd sizes, and 2x2 pooling holds for even ones.

    Args:
        size: Side of the input, in pixels.
        kernel_size: Side of the kernel.
        stride: Step of the output grid.
        padding: Padding on every side, in pixels.
        dilation: Distance between the pixels of the kernel.

    Returns:
        True if no pixels are left over at one side.
    """
    return (size + 2 * padding - dilation * (kernel_size - 1) - 1) % stride == 0


def _resolve_padding(owner: str, padding: Padding, layer: BasisConv2d) -> tuple[int, int, int, int]:
    """Padding at (top, bottom, left, right) in pixels."""
    if padding == "valid":
        return 0, 0, 0, 0
    if padding == "same":
        if layer.stride != (1, 1):
            raise ValueError(f"{owner} supports padding='same' with stride 1 only, got stride {layer.stride}.")
        height, width = (d * (k - 1) for d, k in zip(layer.dilation, layer.kernel_size, strict=True))
        return height // 2, height - height // 2, width // 2, width - width // 2
    if isinstance(padding, str):
        raise ValueError(f"{owner} expects padding in pixels, 'same' or 'valid', got {padding!r}.")  # noqa: TRY004
    pair = tuple(padding) if isinstance(padding, tuple | list) else (padding, padding)
    if len(pair) != 2 or any(isinstance(p, bool) or not isinstance(p, int | np.integer) or p < 0 for p in pair):
        raise ValueError(f"{owner} expects padding of zero or more pixels, one or (height, width), got {padding!r}.")
    height, width = int(pair[0]), int(pair[1])
    return height, height, width, width
