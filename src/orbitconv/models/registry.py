"""Networks by their names."""

import inspect
from typing import Any

from torch import nn

from orbitconv._support.checks import did_you_mean
from orbitconv.models.all_cnn_c import AllCNNC
from orbitconv.models.kernel_bases import BasisLike
from orbitconv.models.p4cnn import P4CNN
from orbitconv.models.resnet import ResNet
from orbitconv.models.small import SmallCNN
from orbitconv.models.unet import UNet
from orbitconv.models.wide_resnet import WideResNet

MODELS: dict[str, type[nn.Module]] = {
    "all-cnn-c": AllCNNC,
    "p4cnn": P4CNN,
    "resnet": ResNet,
    "small": SmallCNN,
    "unet": UNet,
    "wide-resnet": WideResNet,
}
"""Networks that take a basis, or None for their plain twin."""


def build_model(name: str, basis: BasisLike, **options: Any) -> nn.Module:
    """Build a network by its name.

    Args:
        name: One of `MODELS`.
        basis: Basis, name of one that comes with the package, function of the kernel size; None for the plain twin.
        **options: Options of that network.

    Returns:
        The network, untrained.

    Raises:
        ValueError: If there is no such network, or it has no such option; says which there are.
    """
    if name not in MODELS:
        hint = did_you_mean(name, MODELS)
        raise ValueError(f"There is no network named {name!r}.{hint} There are {', '.join(MODELS)}.")
    known = [option for option in inspect.signature(MODELS[name]).parameters if option != "basis"]
    unknown = sorted(set(options) - set(known))
    if unknown:
        raise ValueError(f"The network {name!r} has no option {', '.join(unknown)}. It has {', '.join(known)}.")
    return MODELS[name](basis, **options)
