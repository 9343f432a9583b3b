"""Small networks of every architecture, for the tests that all of them pass."""

from functools import lru_cache, partial

import torch
from torch import nn

from orbitconv.bases import BilinearBasis, ExactBasis, FilterBasis, load_basis
from orbitconv.groups import Cyclic, Dihedral
from orbitconv.models import MODELS

exact_c4 = partial(ExactBasis, Cyclic(4))
exact_d4 = partial(ExactBasis, Dihedral(4))


@lru_cache
def learned_c8(kernel_size: int) -> FilterBasis:
    """A shipped basis where there is one, and bilinear interpolation for the 4x4 kernels of P4CNN."""
    return load_basis(f"unitary-c8-k{kernel_size}") if kernel_size in {3, 5} else BilinearBasis(Cyclic(8), kernel_size)


BASES = {"plain": None, "c4": exact_c4, "d4": exact_d4, "c8": learned_c8}

# Options that keep the networks small, a size at which they are exact, one at which they are not.
SMALL = {
    "all-cnn-c": ({"in_channels": 2}, 12, 14),
    "p4cnn": ({"in_channels": 2}, 28, 29),
    "resnet": ({"in_channels": 2, "depth": 8, "downsample": "max"}, 8, 9),
    "small": ({"in_channels": 2}, 12, 13),
    "unet": ({"in_channels": 2, "depth": 2, "out_channels": 10}, 10, None),
    "wide-resnet": ({"in_channels": 2, "depth": 10, "widen": 2, "downsample": "max"}, 8, 9),
}


def make(name: str, basis: str, **options: object) -> nn.Module:
    """A network of few fields in eval mode and float64, whose batch norms are no identities."""
    return settled(MODELS[name](BASES[basis], width=8 if basis == "plain" else 2, **SMALL[name][0] | options))


def settled(network: nn.Module) -> nn.Module:
    """The network in eval mode and float64, with random statistics and affine parameters in its batch norms."""
    for module in network.double().eval().modules():
        if isinstance(module, nn.BatchNorm2d | nn.BatchNorm3d):
            for tensor, low in ((module.running_mean, -0.3), (module.running_var, 0.7), (module.weight.data, 0.7)):
                torch.nn.init.uniform_(tensor, low, low + 0.6)
    return network


def picture(size: int, channels: int = 2) -> torch.Tensor:
    """White noise, float64."""
    return torch.randn(2, channels, size, size, dtype=torch.float64)
