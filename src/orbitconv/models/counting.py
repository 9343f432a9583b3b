"""How large a network is: trainable parameters, and multiply-adds for an image."""

import copy
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from orbitconv.models.tracing import Tracer


def count_parameters(network: nn.Module) -> int:
    """Number of trainable parameters; a basis that trains counts once, however many layers share it."""
    return sum(p.numel() for p in network.parameters() if p.requires_grad)


def count_multiply_adds(network: nn.Module, input_shape: Sequence[int]) -> int:
    """Products of features with weights for one image, in eval mode: convolutions, linear layers, low-passes.

    What it takes to expand coefficients into filters is not among them: it is done once for a batch, or once for all
    (see `orbitconv.models.summary`).

    Args:
        network: Any module that takes one tensor; it is not run itself, but a copy without numbers.
        input_shape: Shape of one image: (channels, height, width).

    Returns:
        The count.
    """
    return trace(network, input_shape).multiply_adds


def trace(
    network: nn.Module, input_shape: Sequence[int], watch: Callable[[nn.Module, Tracer], None] | None = None
) -> Tracer:
    """Run a copy of a network, in eval mode and on the meta device, on one image."""
    ghost = copy.deepcopy(network).to("meta").eval()
    dtype = next((p.dtype for p in ghost.parameters() if p.is_floating_point()), None)
    x: Tensor = torch.empty(1, *input_shape, dtype=dtype, device="meta")
    tracer = Tracer(x)
    if watch is not None:
        watch(ghost, tracer)
    with torch.no_grad(), tracer:
        ghost(x)
    return tracer
