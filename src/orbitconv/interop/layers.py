"""Which of their layers is which here."""

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch.nn.functional as F
from torch import nn

from orbitconv.interop.convolutions import read_conv, write_conv
from orbitconv.interop.fields import read_fields
from orbitconv.interop.planewise import FilterPool2d, PlaneMask
from orbitconv.interop.refusal import Place
from orbitconv.nn import GroupAvgPool2d, GroupBatchNorm2d, GroupDropout, GroupMaxPool2d, GroupPool


@dataclass(frozen=True)
class Rule:
    """How a kind of layer is converted: `read` makes the layer here, `write` takes what that has learned back."""

    read: Callable[[Place], nn.Module]
    write: Callable[[Place, nn.Module], None] | None = None


def is_regular(place: Place) -> bool:
    """Whether what comes out of a layer of theirs has a group axis here."""
    return read_fields(place, place.module.out_type).is_regular


def _read_norm(place: Place) -> nn.Module:
    """InnerBatchNorm, which holds one batch norm for every size of field."""
    theirs, fields = place.module, read_fields(place, place.module.in_type)
    (norm,) = theirs.children()
    ours = (GroupBatchNorm2d if fields.is_regular else nn.BatchNorm2d)(
        fields.count, norm.eps, norm.momentum, norm.affine, norm.track_running_stats
    )
    ours.load_state_dict(copy.deepcopy(norm.state_dict()), assign=True)
    for mine, given in zip(ours.parameters(), norm.parameters(), strict=True):
        mine.requires_grad_(given.requires_grad)
    return ours


def _write_norm(place: Place, ours: nn.Module) -> None:
    (norm,) = place.module.children()
    norm.load_state_dict(ours.state_dict())


def _read_max_pool(place: Place) -> nn.Module:
    theirs = place.module
    options = theirs.kernel_size, theirs.stride, theirs.padding
    if not is_regular(place):
        return nn.MaxPool2d(*options, theirs.dilation, ceil_mode=theirs.ceil_mode)
    if theirs.dilation == (1, 1) and not theirs.ceil_mode:
        return GroupMaxPool2d(*options)
    size, stride, padding = ((first, *pair) for first, pair in zip((1, 1, 0), options, strict=True))
    return nn.MaxPool3d(size, stride, padding, (1, *theirs.dilation), ceil_mode=theirs.ceil_mode)


def _read_avg_pool(place: Place) -> nn.Module:
    theirs = place.module
    options = theirs.kernel_size, theirs.stride, theirs.padding
    if not is_regular(place):
        return nn.AvgPool2d(*options, ceil_mode=theirs.ceil_mode)
    if not theirs.ceil_mode:
        return GroupAvgPool2d(*options)
    size, stride, padding = ((first, *pair) for first, pair in zip((1, 1, 0), options, strict=True))
    return nn.AvgPool3d(size, stride, padding, ceil_mode=True)


def _read_smooth_max_pool(place: Place) -> nn.Module:
    theirs = place.module
    windows = theirs.kernel_size, theirs.padding, theirs.ceil_mode
    padding = tuple(side + (size - 1) // 2 for side, size in zip(theirs.padding, theirs.filter.shape[-2:], strict=True))
    return FilterPool2d(theirs.filter[0, 0].clone(), theirs.stride, padding, windows)


def _read_smooth_avg_pool(place: Place) -> nn.Module:
    return FilterPool2d(place.module.filter[0, 0].clone(), place.module.stride, place.module.padding)


def _adaptive(planar: type[nn.Module], on_group: type[nn.Module]) -> Rule:
    """The rule of adaptive pools: those of volumes leave the group axis as it is."""

    def read(place: Place) -> nn.Module:
        size = place.module.output_size
        return on_group((None, *size)) if is_regular(place) else planar(size)

    return Rule(read)


def _read_function(place: Place) -> nn.Module:
    known: dict[Any, Callable[[], nn.Module]] = {
        F.relu: nn.ReLU, F.elu: nn.ELU, F.sigmoid: nn.Sigmoid, F.tanh: nn.Tanh,
    }  # fmt: skip
    return known[place.module._function]()  # noqa: SLF001


def _read_mask(place: Place) -> nn.Module:
    return PlaneMask(place.module.mask.detach()[0, 0].clone())


RULES: Mapping[str, Rule] = {
    "R2Conv": Rule(read_conv, write_conv),
    "InnerBatchNorm": Rule(_read_norm, _write_norm),
    "GroupPooling": Rule(
        lambda place: GroupPool() if read_fields(place, place.module.in_type).is_regular else nn.Identity()
    ),
    "PointwiseMaxPool": Rule(_read_max_pool),
    "PointwiseAvgPool": Rule(_read_avg_pool),
    "PointwiseMaxPoolAntialiased": Rule(_read_smooth_max_pool),
    "PointwiseAvgPoolAntialiased": Rule(_read_smooth_avg_pool),
    "PointwiseAdaptiveAvgPool": _adaptive(nn.AdaptiveAvgPool2d, nn.AdaptiveAvgPool3d),
    "PointwiseAdaptiveMaxPool": _adaptive(nn.AdaptiveMaxPool2d, nn.AdaptiveMaxPool3d),
    "ReLU": Rule(lambda place: nn.ReLU(place.module._inplace)),  # noqa: SLF001
    "LeakyReLU": Rule(lambda place: nn.LeakyReLU(place.module._negative_slope)),  # noqa: SLF001
    "ELU": Rule(lambda place: nn.ELU(place.module.alpha, place.module._inplace)),  # noqa: SLF001
    "PointwiseNonLinearity": Rule(_read_function),
    "PointwiseDropout": Rule(lambda place: nn.Dropout(place.module.p)),
    "FieldDropout": Rule(lambda place: (GroupDropout if is_regular(place) else nn.Dropout)(place.module.p)),
    "IdentityModule": Rule(lambda _: nn.Identity()),
    "MaskModule": Rule(_read_mask),
}
"""The rule of each of their layers, by the name of its class; escnn adds 2D to those of pools."""
