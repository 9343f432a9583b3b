"""What convert refuses before it begins, and how it says so."""

from collections import defaultdict
from typing import Any

import torch
from torch import Tensor, nn

from orbitconv._support.checks import check_network
from orbitconv.conversion.observation import Example, FailedRunError, Observation, as_arguments, tensors_in
from orbitconv.conversion.rules import RefusalError
from orbitconv.nn import BasisConv2d
from orbitconv.nn.flat import GroupNetwork


def check_model(model: Any) -> None:
    """Refuse what is no plain network.

    Raises:
        TypeError: If it is no module.
        ValueError: If it holds layers of this library or compiled modules, or two modules share a parameter; names
            them.
    """
    check_network("convert", model)
    for path, module in model.named_modules():
        if isinstance(module, torch.jit.ScriptModule) or hasattr(module, "_orig_mod"):
            raise ValueError(  # a network it is
                f"convert expects modules whose forwards are Python, got {path or 'the network'} compiled by torch.jit "
                "or torch.compile. Convert the network first, and compile it afterwards."
            )
        if isinstance(module, BasisConv2d | GroupNetwork):
            raise ValueError(  # noqa: TRY004  # a network it is
                f"convert expects a plain network, got one that is equivariant already: {path or 'the network'} is "
                f"{type(module).__name__}. Convert the network that it was made of."
            )
    owners: dict[int, list[str]] = defaultdict(list)
    for path, module in model.named_modules():
        for name, parameter in module.named_parameters(recurse=False):
            owners[id(parameter)].append(f"{path}.{name}" if path else name)
    for shared in owners.values():
        if len(shared) > 1:
            raise ValueError(
                f"convert expects every parameter in one place, got one that {' and '.join(shared)} share: converted, "
                "they would train apart. Call one module in both places instead."
            )


def check_example(example: Example | None, model: nn.Module) -> Example:
    """Refuse a missing example.

    Args:
        example: What the user gave.
        model: The network.

    Returns:
        The example.

    Raises:
        TypeError: If there is none, or its images are no floating-point numbers.
    """
    if example is None:
        first = next((m for m in model.modules() if isinstance(m, nn.Conv2d)), None)
        channels = 3 if first is None else first.in_channels
        raise TypeError(
            "convert expects an example that the network is called with: one image, or the arguments of its forward, "
            f"such as example=torch.randn(1, {channels}, 64, 64)."
        )
    planes = [x.dtype for x in tensors_in(as_arguments(example)) if x.ndim == 4]
    if planes and not any(dtype.is_floating_point for dtype in planes):
        raise TypeError(
            f"convert expects images of floating-point numbers, got {planes[0]}: what it measures with is noise. Take "
            "example=images.float()."
        )
    return example


def check_convolutions(seen: Observation, model: nn.Module) -> None:
    """Refuse a network that calls no convolution of planes; names convolutions of other dimensions if it calls such."""
    called = {call.path for call in seen.calls}
    modules = [(path, module) for path, module in model.named_modules() if path in called]
    if any(isinstance(module, nn.Conv2d | nn.ConvTranspose2d) for _, module in modules):
        return
    other = [path for path, module in modules if isinstance(module, nn.modules.conv._ConvNd)]  # noqa: SLF001
    found = f"only {', '.join(other)}, of other dimensions" if other else "none"
    raise ValueError(
        f"convert expects a network that calls convolutions of planes (torch.nn.Conv2d), got one that calls {found}. "
        "Equivariance to turns of the plane comes from their filters."
    )


def refusal(error: FailedRunError, model: nn.Module) -> ValueError:
    """The error that the user sees: it names the module by its path, and says what to do."""
    module = dict(model.named_modules()).get(error.path, model)
    where = f"{error.path!r} ({type(module).__name__})" if error.path else f"the network ({type(module).__name__})"
    reason = reason_of(error)
    keep = "" if not error.path else " Or keep it plain with strict=False: equivariance ends there."
    return ValueError(f"convert cannot convert {where}: {reason}{keep}")


def reason_of(error: FailedRunError) -> str:
    """Why a module cannot be converted, as a sentence."""
    if isinstance(error.cause, RefusalError):
        return str(error.cause).strip()
    return (
        f"its forward does not take features with |G| times as many channels ({error}). Look for literal numbers of "
        "channels in it (view, reshape, expand, pad), and for values beside features that hold no group (the image "
        "itself, an embedding of time or class)."
    )


def is_image(value: Any) -> bool:
    """Whether a value is a batch of square images."""
    return isinstance(value, Tensor) and value.ndim == 4 and value.shape[2] == value.shape[3]
