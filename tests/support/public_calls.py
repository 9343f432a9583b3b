"""Public functions and modules as calls on tensors, for the properties that all of them share."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn

from networks import SMALL, settled
from orbitconv import nn as layers
from orbitconv.bases import ExactBasis
from orbitconv.groups import Cyclic, Dihedral, act_features, act_image, act_regular, rotate_images
from orbitconv.learn import whiten_images
from orbitconv.learn.gradient.rotators import rotate_gaussian
from orbitconv.metrics import equivariance_error
from orbitconv.models import MODELS, SmallCNN, TurnedCopies

PLANES, ON_C8, ON_D4 = (3, 2, 12, 12), (3, 4, 8, 9, 9), (3, 2, 8, 9, 9)


@dataclass
class Call:
    """A function or module, and the shape of its input."""

    make: Callable[[], Callable[[Tensor], Tensor]]
    shape: tuple[int, ...]

    def function(self) -> Callable[[Tensor], Tensor]:
        """The function, the same one at each call; modules in eval mode and float32."""
        torch.manual_seed(1)
        function = self.make()
        return settled(function).float() if isinstance(function, nn.Module) else function

    def inputs(self) -> Tensor:
        """Its input, float32."""
        torch.manual_seed(2)
        return torch.randn(self.shape)


def each_by_its_angle(x: Tensor) -> Tensor:
    """Images turned by angles of their own."""
    return rotate_images(x, torch.linspace(0.2, 1.3, len(x), dtype=torch.float64))


class Errors(nn.Module):
    """Equivariance errors of a small network."""

    def __init__(self) -> None:
        super().__init__()
        self.network = nn.Sequential(nn.Conv2d(2, 3, 3, padding=1), nn.ReLU(), nn.Conv2d(3, 2, 3, padding=1))

    def forward(self, x: Tensor) -> Tensor:
        return equivariance_error(self.network, x, Cyclic(8), elements=[1, 2])[""]


def p4(kernel_size: int) -> ExactBasis:
    """The basis of P4CNN, which takes kernels of several sizes."""
    return ExactBasis(Cyclic(4), kernel_size)


def _cyclic_shift(order: int) -> Tensor:
    return torch.eye(order).roll(1, 0)[None]


FUNCTIONS = {
    "rotate_images, one angle": Call(lambda: partial(rotate_images, angles=0.5), PLANES),
    "rotate_images, an angle each": Call(lambda: each_by_its_angle, PLANES),
    "rotate_images, quarter turn": Call(lambda: partial(rotate_images, angles=torch.pi / 2), PLANES),
    "rotate_images, nearest pixel": Call(lambda: partial(rotate_images, angles=0.5, order=0), PLANES),
    "act_image": Call(lambda: partial(act_image, group=Dihedral(8), g=9), PLANES),
    "act_features": Call(lambda: partial(act_features, group=Cyclic(8), g=3), ON_C8),
    "act_regular": Call(lambda: partial(act_regular, group=Cyclic(8), g=3), ON_C8),
    "rotate_gaussian": Call(lambda: lambda x: rotate_gaussian(x, Cyclic(8), 1, 0.4), PLANES),
    "whiten_images": Call(lambda: whiten_images, PLANES),
    "upsample_to": Call(lambda: partial(layers.upsample_to, size=(23, 24)), PLANES),
    "upsample_to, on a group": Call(lambda: partial(layers.upsample_to, size=(18, 17)), ON_C8),
}

LAYERS = {
    "LiftingConv2d": Call(lambda: layers.LiftingConv2d(2, 3, "spectral-c8-k3", padding=1), PLANES),
    "GroupConv2d": Call(lambda: layers.GroupConv2d(4, 3, "spectral-c8-k3", padding=1), ON_C8),
    "GroupConv2d, dense": Call(lambda: layers.GroupConv2d(4, 3, "spectral-c8-k3", padding=1, fourier=False), ON_C8),
    "GroupConv2d, Fourier": Call(lambda: layers.GroupConv2d(4, 3, "spectral-c8-k3", padding=1, fourier=True), ON_C8),
    "GroupConv2d, local": Call(lambda: layers.GroupConv2d(4, 3, "spectral-c8-k3", padding=1, group_kernel=3), ON_C8),
    "GroupConv2d on D4": Call(lambda: layers.GroupConv2d(2, 3, "spectral-d4-k3", padding=1), ON_D4),
    "GroupConvTranspose2d": Call(lambda: layers.GroupConvTranspose2d(4, 3, "spectral-c8-k3", 2, 1), ON_C8),
    "DepthwiseGroupConv2d": Call(lambda: layers.DepthwiseGroupConv2d(4, "spectral-c8-k3", padding=1), ON_C8),
    "SeparableGroupConv2d": Call(lambda: layers.SeparableGroupConv2d(4, 3, "spectral-c8-k3", padding=1), ON_C8),
    "SeparableGroupConv2d, separable": Call(
        lambda: layers.SeparableGroupConv2d(4, 3, "spectral-c8-k3", padding=1, mixing="separable"), ON_C8
    ),
    "GroupBatchNorm2d": Call(lambda: layers.GroupBatchNorm2d(4), ON_C8),
    "GroupScaleNorm2d": Call(lambda: layers.GroupScaleNorm2d(4), ON_C8),
    "GroupInstanceNorm2d": Call(lambda: layers.GroupInstanceNorm2d(4, affine=True), ON_C8),
    "GroupGroupNorm2d": Call(lambda: layers.GroupGroupNorm2d(2, 4), ON_C8),
    "GroupLayerNorm2d": Call(lambda: layers.GroupLayerNorm2d(4), ON_C8),
    "HexagonalBatchNorm2d": Call(lambda: layers.HexagonalBatchNorm2d(4), ON_C8),
    "HexagonalMask": Call(layers.HexagonalMask, ON_C8),
    "HexagonalPool": Call(lambda: layers.HexagonalPool(4), ON_C8),
    "GroupDropout": Call(layers.GroupDropout, ON_C8),
    "GroupDropout2d": Call(layers.GroupDropout2d, ON_C8),
    "GroupMaxPool2d": Call(lambda: layers.GroupMaxPool2d(2), ON_C8),
    "GroupAvgPool2d": Call(lambda: layers.GroupAvgPool2d(2), ON_C8),
    "GroupBlurPool2d": Call(layers.GroupBlurPool2d, ON_C8),
    "BlurPool2d": Call(layers.BlurPool2d, PLANES),
    "GroupPool, max": Call(layers.GroupPool, ON_C8),
    "GroupPool, mean": Call(lambda: layers.GroupPool("mean"), ON_C8),
    "GroupPool, mean and max": Call(lambda: layers.GroupPool("mean-max"), ON_C8),
    "GroupBispectrum": Call(lambda: layers.GroupBispectrum(Cyclic(8)), ON_C8),
    "GroupTripleCorrelation": Call(lambda: layers.GroupTripleCorrelation(Dihedral(4)), ON_D4),
    "FilteredReLU": Call(layers.FilteredReLU, ON_C8),
    "PairNormReLU": Call(lambda: layers.PairNormReLU(4), ON_C8),
    "GroupRestriction": Call(lambda: layers.GroupRestriction(Dihedral(4), Cyclic(4)), ON_D4),
    "OrbitLayout": Call(lambda: layers.OrbitLayout(_cyclic_shift(8), (8,)), (3, 2, 8)),
    "OrbitLinear": Call(lambda: layers.OrbitLinear(2, 3, _cyclic_shift(8), (8,)), (3, 2, 8)),
    "OrbitLinear, dense": Call(lambda: layers.OrbitLinear(2, 3, _cyclic_shift(8), (8,), filters="dense"), (3, 2, 8)),
}

NETWORKS = {
    name: Call(
        partial(build, "spectral-c8-k3" if name != "p4cnn" else p4, width=2, **SMALL[name][0]),
        (3, 2, SMALL[name][1], SMALL[name][1]),
    )
    for name, build in MODELS.items()
} | {
    "TurnedCopies": Call(lambda: TurnedCopies(SmallCNN("spectral-c8-k3", width=2, in_channels=2), 2, order=8), PLANES),
    "equivariance_error": Call(Errors, PLANES),
}

CALLS = FUNCTIONS | LAYERS | NETWORKS
