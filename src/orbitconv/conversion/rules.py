"""What each plain layer becomes, once it is known at which axis its input holds the group."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from orbitconv.conversion.bases import KernelSizes
from orbitconv.conversion.report import Kind
from orbitconv.nn import (
    BlurPool2d,
    DepthwiseGroupConv2d,
    GroupBatchNorm2d,
    GroupConv2d,
    GroupConvTranspose2d,
    GroupDropout2d,
    LiftingConv2d,
)
from orbitconv.nn.flat import EachElement, FlatLayer, FlatLinear, Repeat


class RefusalError(Exception):
    """Why a module cannot be converted, and what to do about it."""

    def __init__(self, reason: str, advice: str) -> None:
        super().__init__(f"{reason} {advice}")
        self.reason, self.advice = reason, advice


@dataclass(frozen=True)
class Made:
    """What a module became: the new module, or the old one where that will do, its kind, and a note for the report."""

    module: nn.Module
    kind: Kind
    note: str = ""


Rule = Callable[[Any, int | None, KernelSizes], Made]
"""From a module, the axis of its input at which channels and group are flattened (None for planar input), and bases."""


def _pair(values: Any) -> tuple[int, int]:
    """Height and width, as torch's layers hold them."""
    return int(values[0]), int(values[1])


def padding_of(conv: nn.Conv2d, window: tuple[int, int]) -> Any:
    """Padding that puts the enclosing window of a kernel where the kernel was."""
    if conv.padding == "same":
        return conv.padding
    padding = (0, 0) if isinstance(conv.padding, str) else conv.padding
    margins = [(w - k) // 2 * d for w, k, d in zip(window, conv.kernel_size, conv.dilation, strict=True)]
    return tuple(p + margin for p, margin in zip(padding, margins, strict=True))


def convert_conv(conv: nn.Conv2d, axis: int | None, bases: KernelSizes) -> Made:
    """A lifting of planar input; else a group convolution, or a depthwise one."""
    if axis not in {None, 1}:
        raise RefusalError(f"its input holds the group at axis {axis}.", "A convolution takes channels at axis 1.")
    basis = bases.of(_pair(conv.kernel_size))
    options = {
        "stride": conv.stride, "padding": padding_of(conv, basis.kernel_size), "dilation": conv.dilation,
        "bias": conv.bias is not None, "padding_mode": conv.padding_mode, "device": conv.weight.device,
        "dtype": conv.weight.dtype,
    }  # fmt: skip
    order, pool = bases.group.order, conv.out_channels == 1
    note = "pooled: a gate of one channel" if pool else ""
    if axis is None:
        lifting = LiftingConv2d(conv.in_channels, conv.out_channels, basis, groups=conv.groups, **options)
        return Made(FlatLayer(lifting, order, conv, pool=pool), "lifting", note)
    if conv.groups == conv.in_channels == conv.out_channels and conv.groups > 1:
        return Made(
            FlatLayer(DepthwiseGroupConv2d(conv.in_channels, basis, **options), order, conv), "group", "depthwise"
        )
    layer = GroupConv2d(conv.in_channels, conv.out_channels, basis, groups=conv.groups, **options)
    return Made(FlatLayer(layer, order, conv, pool=pool), "group", note)


def convert_transposed(conv: nn.ConvTranspose2d, axis: int | None, bases: KernelSizes) -> Made:
    """A transposed group convolution; planar input is repeated over the group first."""
    if axis not in {None, 1}:
        raise RefusalError(f"its input holds the group at axis {axis}.", "A convolution takes channels at axis 1.")
    basis = bases.of(_pair(conv.kernel_size))
    margins = [(w - k) // 2 * d for w, k, d in zip(basis.kernel_size, conv.kernel_size, conv.dilation, strict=True)]
    cut = _pair([int(p) + margin for p, margin in zip(conv.padding, margins, strict=True)])
    layer = GroupConvTranspose2d(
        conv.in_channels, conv.out_channels, basis, _pair(conv.stride), cut, _pair(conv.output_padding), conv.groups,
        conv.bias is not None, _pair(conv.dilation), device=conv.weight.device, dtype=conv.weight.dtype,
    )  # fmt: skip
    order, pool = bases.group.order, conv.out_channels == 1
    flat = FlatLayer(layer, order, conv, pool=pool)
    if axis is None:
        return Made(nn.Sequential(Repeat(order), flat), "lifting", "transposed")
    return Made(flat, "group", "transposed; pooled: a gate of one channel" if pool else "transposed")


def convert_linear(linear: nn.Linear, axis: int | None, bases: KernelSizes) -> Made:
    """A linear layer on the group; a plain one where its input is invariant."""
    if axis is None:
        return Made(linear, "unchanged", "its input is invariant")
    if axis != -1:
        raise RefusalError("its input holds the group on another axis than the last.", "")
    mixing = GroupConv2d(
        linear.in_features, linear.out_features, bases.of((1, 1)), bias=linear.bias is not None,
        device=linear.weight.device, dtype=linear.weight.dtype,
    )  # fmt: skip
    pool = linear.out_features == 1
    note = "pooled: a gate of one channel" if pool else ""
    return Made(FlatLinear(mixing, pool=pool), "linear", note)


def convert_batch_norm(norm: nn.BatchNorm2d, axis: int | None, bases: KernelSizes) -> Made:
    """Batch norm with statistics over the group axis too."""
    if axis is None:
        return Made(norm, "unchanged", "its input is planar")
    fresh = GroupBatchNorm2d(norm.num_features, norm.eps, norm.momentum, norm.affine, norm.track_running_stats)
    fresh.load_state_dict(norm.state_dict(), assign=True)
    return Made(FlatLayer(fresh, bases.group.order, norm), "norm")


def convert_each(module: nn.Module, axis: int | None, bases: KernelSizes) -> Made:
    """The module, at every element alike."""
    if axis is None:
        return Made(module, "unchanged", "its input is planar")
    return Made(EachElement(module, bases.group.order, axis), "each element")


def convert_dropout(module: nn.Dropout2d, axis: int | None, bases: KernelSizes) -> Made:
    """Dropout of whole fields."""
    if axis != 1:
        return Made(module, "unchanged", "its input is planar")
    return Made(FlatLayer(GroupDropout2d(module.p), bases.group.order), "each element")


def convert_layer_norm(norm: nn.LayerNorm | nn.RMSNorm, axis: int | None, bases: KernelSizes) -> Made:
    """Layer or RMS norm of every element; weights of pixels are refused."""
    if len(norm.normalized_shape) > 1 and norm.elementwise_affine:
        raise RefusalError("it has a weight for every pixel, which fixes positions.", "Normalize over channels alone.")
    return convert_each(norm, axis, bases)


def convert_prelu(module: nn.PReLU, axis: int | None, bases: KernelSizes) -> Made:
    """Slopes of channels are shared over the group; one slope for all serves as it is."""
    return Made(module, "unchanged") if module.num_parameters == 1 else convert_each(module, axis, bases)


RULES: Mapping[type[nn.Module], Rule] = {
    nn.Conv2d: convert_conv,
    nn.ConvTranspose2d: convert_transposed,
    nn.Linear: convert_linear,
    nn.BatchNorm2d: convert_batch_norm,
    nn.SyncBatchNorm: convert_each,
    nn.BatchNorm1d: convert_each,
    nn.InstanceNorm1d: convert_each,
    nn.InstanceNorm2d: convert_each,
    nn.GroupNorm: convert_each,
    nn.LayerNorm: convert_layer_norm,
    nn.RMSNorm: convert_layer_norm,
    nn.PReLU: convert_prelu,
    nn.LocalResponseNorm: convert_each,
    nn.ChannelShuffle: convert_each,
    nn.PixelShuffle: convert_each,
    nn.PixelUnshuffle: convert_each,
    nn.Softmax2d: convert_each,
    nn.Softmax: convert_each,
    nn.LogSoftmax: convert_each,
    nn.Dropout2d: convert_dropout,
    nn.FeatureAlphaDropout: convert_each,
}
"""The rule of every layer of torch that knows its channels."""

UNCHANGED: tuple[type[nn.Module], ...] = (
    nn.Identity, nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.ELU, nn.CELU, nn.SELU, nn.GELU, nn.SiLU, nn.Mish, nn.Hardswish,
    nn.Hardsigmoid, nn.Hardtanh, nn.Hardshrink, nn.Softshrink, nn.Softplus, nn.Softsign, nn.Sigmoid, nn.LogSigmoid,
    nn.Tanh, nn.Tanhshrink, nn.Threshold, nn.RReLU, nn.GLU, nn.Dropout, nn.AlphaDropout, nn.Dropout1d, nn.Flatten,
    nn.MaxPool2d, nn.AvgPool2d, nn.LPPool2d, nn.AdaptiveAvgPool2d, nn.AdaptiveMaxPool2d, nn.AdaptiveAvgPool1d,
    nn.AdaptiveMaxPool1d, nn.Upsample, nn.UpsamplingNearest2d, nn.UpsamplingBilinear2d, nn.ZeroPad2d, nn.ConstantPad2d,
    nn.ReflectionPad2d, nn.ReplicationPad2d, nn.CircularPad2d, nn.Embedding,
    BlurPool2d,
)  # fmt: skip
"""Layers of torch that treat every plane by itself."""

REFUSED: Mapping[type[nn.Module], tuple[str, str]] = {
    **dict.fromkeys(
        (nn.Conv1d, nn.Conv3d, nn.ConvTranspose1d, nn.ConvTranspose3d),
        ("it convolves along one or three axes.", "Equivariance here is that of the plane."),
    ),
    nn.MultiheadAttention: (
        "it holds its projections in one parameter.",
        "Write attention with torch.nn.Linear layers, which are converted.",
    ),
    nn.Bilinear: ("it multiplies two inputs.", "Write it with torch.nn.Linear layers."),
    nn.RNNBase: ("it reads positions in an order.", "Put it behind features that are pooled over the plane."),
    nn.Unfold: ("it makes channels of positions.", "Use a convolution."),
    nn.Fold: ("it makes positions of channels.", "Use a transposed convolution."),
}  # fmt: skip
"""Layers of torch that have no equivariant twin here, with reason and advice."""


def is_leaf(module: nn.Module) -> bool:
    """Whether a module has none inside."""
    return next(module.children(), None) is None


def owns_forward(module: nn.Module, base: type[nn.Module]) -> bool:
    """Whether a module, or its class, computes something else than a base class of torch."""
    own, names = type(module), ("forward", "_conv_forward")
    return any(name in vars(module) or getattr(own, name, None) is not getattr(base, name, None) for name in names)


def base_rule(module: nn.Module) -> type[nn.Module] | None:
    """The class of torch whose rule a module may have: its own class, or one whose forward it inherits."""
    for cls in type(module).__mro__:
        if cls in RULES:
            return None if owns_forward(module, cls) else cls
        if cls in UNCHANGED:
            return None if owns_forward(module, cls) else cls
    return None


def field_axis(plain: Any, found: Tensor, order: int) -> int | None:
    """The axis at which a tensor holds |G| times as many channels as in the plain network; None if the shapes agree.

    Raises:
        RefusalError: If the shapes differ otherwise.
    """
    shape = tuple(found.shape)
    if shape == plain:
        return None
    axes = [axis for axis, (a, b) in enumerate(zip(plain, shape, strict=False)) if a != b]
    if len(plain) != len(shape) or len(axes) != 1 or shape[axes[0]] != plain[axes[0]] * order:
        raise RefusalError(
            f"it gets an input of shape {shape}, where the plain network has {plain}: not {order} planes for each.",
            "Look for a view or reshape to fixed numbers of channels before it.",
        )
    axis = axes[0]
    if axis == len(shape) - 1 and len(shape) != 4:
        return -1
    return -1 if axis == 3 else axis
