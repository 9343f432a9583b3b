"""The layers of networks that are written once: on a group where there is a basis, plain where there is none."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Literal, final, get_args

from torch import nn

from orbitconv._support.checks import Size2, check_share
from orbitconv.models.kernel_bases import BasisLike, KernelBases
from orbitconv.nn import (
    BasisConv2d,
    BlurPool2d,
    GroupAvgPool2d,
    GroupBatchNorm2d,
    GroupBispectrum,
    GroupBlurPool2d,
    GroupConv2d,
    GroupDropout,
    GroupMaxPool2d,
    GroupPool,
    GroupTripleCorrelation,
    HexagonalBatchNorm2d,
    HexagonalPool,
    LiftingConv2d,
    SeparableGroupConv2d,
    ToHexagonal,
)

Downsample = Literal["max", "blur", "stride"]
"""How a network halves its planes: 2x2 max pool, anti-aliased low-pass, or a convolution of stride 2."""

PoolGroup = Literal["max", "mean", "mean-max", "bispectrum", "triple-correlation", "none"]
"""How a classifier pools the group: by its maximum, its mean or both, or by a complete invariant, which keeps all but
where the image is turned to. With `"none"` its last layer sees every copy of every field, and what it says may
depend on how the image lies: for photographs, where sky is above."""

Mixing = Literal["dense", "full", "separable"]
"""How convolutions on the group mix fields and group axis: with a filter for each pair of planes, as GroupConv2d does,
or in cheaper steps, as SeparableGroupConv2d does with its `mixing` of that name."""

Conv = nn.Conv2d | BasisConv2d | SeparableGroupConv2d


@final
class Layers:
    """Makes the layers of one network: on the group that a basis brings, or plain ones of the same kind.

    1x1 layers mix fields and the group axis, and need no basis from the user. A basis that trains is shared by all
    layers of its kernel size.

    Args:
        owner: Name of the network, for error messages.
        basis: A basis, for every layer of its kernel size; the name of one that comes with the package; a function
            from kernel size to basis; or None for plain layers.
        kernel_size: Side of the filters, in pixels; by default that of the basis, or 3 where there is none yet.
        also: Other kernel sizes that the network needs, beside 1.
        odd: Whether the network adds or concatenates feature maps, and so needs kernels that keep their size.
        mixing: What convolutions of feature maps with kernels larger than 1x1 are: `"dense"` for GroupConv2d, `"full"`
            or `"separable"` for SeparableGroupConv2d.

    Raises:
        ValueError: If there is no basis of a kernel size that the network needs, two are of different groups, a side
            is even that must be odd, or the mixing is unknown or not `"dense"` where there is no basis.
    """

    def __init__(
        self,
        owner: str,
        basis: BasisLike,
        kernel_size: Size2 | None = None,
        *,
        also: Sequence[Size2] = (),
        odd: bool = False,
        mixing: Mixing = "dense",
    ) -> None:
        if mixing not in get_args(Mixing):
            raise ValueError(f"{owner} expects mixing 'dense', 'full' or 'separable', got {mixing!r}.")
        if basis is None and mixing != "dense":
            raise ValueError(
                f"{owner} expects mixing 'dense' for its plain twin, which has no group axis to mix, got {mixing!r}. "
                "Pass a basis, or leave mixing out."
            )
        self.owner = owner
        self.mixing: Mixing = mixing
        self.bases = KernelBases(owner, basis, kernel_size, also, odd)
        self.group, self.kernel_size = self.bases.group, self.bases.kernel_size
        self.hexagonal = self.group is not None and self.bases.of(self.kernel_size).lattice == "hexagonal"
        if self.hexagonal and mixing != "dense":
            raise ValueError(f"{owner} expects mixing 'dense' for bases on hexagons, got {mixing!r}.")

    def enter(self) -> list[nn.Module]:
        """What comes before the first convolution: for a basis on hexagons, a layer from pixels to the lattice.

        Else none.
        """
        return [ToHexagonal()] if self.hexagonal else []

    def lift(self, before: int, after: int, kernel_size: Size2 | None = None, **options: Any) -> Conv:
        """A convolution of the image, from channels to fields: a LiftingConv2d, or `torch.nn.Conv2d`.

        Options are `stride`, `padding` (by default half the kernel) and `bias` (by default none, for a norm follows).
        """
        return self._convolution(LiftingConv2d, before, after, kernel_size, **options)

    def conv(self, before: int, after: int, kernel_size: Size2 | None = None, **options: Any) -> Conv:
        """A convolution of feature maps: a GroupConv2d, a SeparableGroupConv2d, or `torch.nn.Conv2d`.

        Options as for `lift`.
        """
        size = self.kernel_size if kernel_size is None else self.bases.as_size(kernel_size)
        kind = GroupConv2d
        if self.mixing != "dense" and size != (1, 1):
            kind = partial(SeparableGroupConv2d, mixing=self.mixing)
        return self._convolution(kind, before, after, size, **options)

    def _convolution(
        self,
        kind: Callable[..., Conv],
        before: int,
        after: int,
        kernel_size: Size2 | None,
        *,
        stride: int = 1,
        padding: Size2 | None = None,
        bias: bool = False,
    ) -> Conv:
        size = self.kernel_size if kernel_size is None else self.bases.as_size(kernel_size)
        padding = (size[0] // 2, size[1] // 2) if padding is None else padding
        if self.group is None:
            return nn.Conv2d(before, after, size, stride, padding, bias=bias)
        return kind(before, after, self.bases.of(size), stride, padding, bias=bias)

    def unit(self, conv: Conv) -> list[nn.Module]:
        """A convolution with batch norm and ReLU after it."""
        return [conv, self.norm(conv.out_channels), nn.ReLU()]

    def norm(self, fields: int) -> nn.Module:
        """Batch norm over images, plane and group."""
        if self.hexagonal:
            return HexagonalBatchNorm2d(fields)
        return nn.BatchNorm2d(fields) if self.group is None else GroupBatchNorm2d(fields)

    def dropout(self, p: float) -> nn.Module:
        """Dropout of whole fields, pixel by pixel."""
        check_share(self.owner, dropout=p)
        return nn.Dropout(p) if self.group is None else GroupDropout(p)

    def max_pool(self, size: int) -> nn.Module:
        """Maximum over windows of the plane; on hexagons, over a point and its neighbours, where one in four stays."""
        if self.hexagonal:
            return self._hexagonal_pool(size, "max")
        return nn.MaxPool2d(size) if self.group is None else GroupMaxPool2d(size)

    def avg_pool(self, size: int) -> nn.Module:
        """Mean over windows of the plane; on hexagons, over a point and its neighbours, where one in four stays."""
        if self.hexagonal:
            return self._hexagonal_pool(size, "mean")
        return nn.AvgPool2d(size) if self.group is None else GroupAvgPool2d(size)

    def blur_pool(self) -> nn.Module:
        """Anti-aliased down-sampling by two."""
        if self.hexagonal:
            return self._hexagonal_pool(2, "mean")
        return BlurPool2d() if self.group is None else GroupBlurPool2d()

    def _hexagonal_pool(self, size: int, reduction: Literal["max", "mean"]) -> nn.Module:
        if size != 2:
            raise ValueError(f"{self.owner} halves planes on hexagons, got windows of {size}.")
        return HexagonalPool(4, reduction)

    def pool_group(self, reduction: Literal["max", "mean"]) -> nn.Module:
        """From the group to the plane; nothing to do for plain layers."""
        if reduction not in {"max", "mean"}:
            raise ValueError(f"{self.owner} expects pool_group 'max' or 'mean', got {reduction!r}.")
        return nn.Identity() if self.group is None else GroupPool(reduction)

    def head(self, fields: int, num_classes: int, pool_group: PoolGroup) -> tuple[nn.Module, nn.Linear]:
        """From feature maps on the group to class scores, but for the pool over the plane between the two.

        That is the pool over the group and the linear layer; `"none"` keeps every copy as a channel.

        Raises:
            ValueError: If the choice is unknown, or the group has no bispectrum.
        """
        if pool_group not in get_args(PoolGroup):
            known = ", ".join(map(repr, get_args(PoolGroup)))
            raise ValueError(f"{self.owner} expects pool_group as one of {known}, got {pool_group!r}.")
        if self.group is None:
            return nn.Identity(), nn.Linear(fields, num_classes)
        if pool_group == "bispectrum" or pool_group == "triple-correlation":
            invariant = (GroupBispectrum if pool_group == "bispectrum" else GroupTripleCorrelation)(self.group)
            return invariant, nn.Linear(fields * invariant.numbers, num_classes)
        if pool_group != "none":
            return GroupPool(pool_group), nn.Linear(fields * (2 if pool_group == "mean-max" else 1), num_classes)
        return nn.Flatten(1, 2), nn.Linear(fields * self.group.order, num_classes)

    def halve(self, downsample: Downsample | None) -> list[nn.Module]:
        """What halves the planes after a convolution of stride `stride(downsample)`: one pool, or none."""
        self.stride(downsample)  # refuses what it does not know
        if downsample == "max":
            return [self.max_pool(2)]
        return [self.blur_pool()] if downsample == "blur" else []

    def stride(self, downsample: Downsample | None) -> int:
        """Stride of the convolution before the planes are halved: 2 for `"stride"`, else 1.

        Raises:
            ValueError: If the choice is unknown.
        """
        if downsample is not None and downsample not in get_args(Downsample):
            raise ValueError(f"{self.owner} expects downsample 'max', 'blur' or 'stride', got {downsample!r}.")
        if downsample == "stride" and self.hexagonal:
            raise ValueError(
                f"{self.owner} expects downsample 'max' or 'blur' on hexagons, whose centre a stride of 2 loses on "
                "every other radius, got 'stride'."
            )
        return 2 if downsample == "stride" else 1
