"""The network for digits, with every part that a lever exchanges."""

from functools import partial
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from orbitconv.bases.registry import parse_basis_name
from orbitconv.models import Classifier, Layers, SmallCNN, count_parameters, width_for
from orbitconv.models.layers import PoolGroup
from orbitconv.nn import (
    FilteredReLU,
    GroupBatchNorm2d,
    GroupBlurPool2d,
    GroupConv2d,
    GroupMaxPool2d,
    GroupRestriction,
    GroupScaleNorm2d,
    LiftingConv2d,
    PairNormReLU,
)

SHARES = (1, 1, 2, 2, 2)
"""Fields of the five convolutions, in proportion, as in SmallCNN."""
HALVE_AFTER = (0, 2)
RESTRICTED = 3
"""The convolution, counted from zero, from which on a restricted network is on a part of its group."""

# Widths are looked for in eighths of a field.
_STEPS, _WIDEST = 8, 200


class Digits(Classifier):
    """Five convolutions, a pool over group and plane, a linear layer; in training perhaps what that layer sees too."""

    def __init__(self, *parts: nn.Module, width: float, show_features: bool) -> None:
        stack, pool, classify = parts
        assert isinstance(stack, nn.Sequential)
        super().__init__(stack, pool, classify, width=width, plane="max")
        self.show_features = show_features

    def forward(self, x: Float[Tensor, "b i h w"]) -> Float[Tensor, "b k"]:
        """Class scores, followed by the features where a loss needs them."""
        seen = self.pool(self.features(x)).amax((2, 3))
        scores = self.classify(seen)
        return torch.cat([scores, seen], 1) if self.show_features and self.training else scores


def digits(
    basis: str = "spectral-c8-k5-d7", *, plain_width: int = 8, first_basis: str | None = None,
    restrict_to: str | None = None, norm: Literal["batch", "scale"] = "batch",
    activation: Literal["relu", "filtered", "pairs"] = "relu", pool_group: PoolGroup = "max",
    blur: bool = False, odd: bool = False, show_features: bool = False,
) -> Digits:  # fmt: skip
    """The network of a basis that is nearest to the parameters of SmallCNN's plain twin of a width.

    `first_basis` is that of the lifting convolution. With `restrict_to`, the last two convolutions have this basis, of
    a part of the group. With `odd`, images are resampled to one pixel more, so that a pixel lies at the centre, and
    maxima are over 3x3 pixels.
    """
    make = partial(
        _digits, basis, first_basis=first_basis or basis, restrict_to=restrict_to, norm=norm, activation=activation,
        pool_group=pool_group, blur=blur, odd=odd, show_features=show_features,
    )  # fmt: skip
    budget = count_parameters(SmallCNN(None, plain_width=plain_width, kernel_size=5))
    widths = [step / _STEPS for step in range(_STEPS, _STEPS * _WIDEST)]
    return make(width_for(make, budget, widths=widths))


def _digits(
    basis: str, width: float, *, first_basis: str, restrict_to: str | None, norm: str, activation: str,
    pool_group: PoolGroup, blur: bool, odd: bool, show_features: bool,
) -> Digits:  # fmt: skip
    """The network of a width, whose fields are rounded, to even numbers where they come in pairs."""
    multiple = 2 if activation == "pairs" else 1
    fields = [max(1, round(share * width / multiple)) * multiple for share in SHARES]
    halve = (lambda: GroupBlurPool2d()) if blur else (lambda: GroupMaxPool2d(3, 2, 1) if odd else GroupMaxPool2d(2))
    stack: list[nn.Module] = [nn.AvgPool2d(2, 1, 1)] if odd else []
    here, before = basis, 1
    for index, after in enumerate(fields):
        if restrict_to is not None and index >= RESTRICTED:
            larger, smaller = (parse_basis_name(name).group for name in (basis, restrict_to))
            ratio = larger.order // smaller.order
            if index == RESTRICTED:
                stack.append(GroupRestriction(larger, smaller))
                before *= ratio
            here, after = restrict_to, after * ratio
        kind, name = (GroupConv2d, here) if index else (LiftingConv2d, first_basis)
        side = parse_basis_name(name).kernel_size
        assert isinstance(side, int)
        stack.append(kind(before, after, name, padding=side // 2, bias=False))
        stack.append(GroupBatchNorm2d(after) if norm == "batch" else GroupScaleNorm2d(after))
        stack.append(
            PairNormReLU(after) if activation == "pairs" else FilteredReLU() if activation == "filtered" else nn.ReLU()
        )
        if index in HALVE_AFTER:
            stack.append(halve())
        before = after
    head = Layers("digits", here).head(before, 10, pool_group)
    return Digits(nn.Sequential(*stack), *head, width=width, show_features=show_features)
