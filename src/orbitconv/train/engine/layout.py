"""Memory layout of features during training."""

from dataclasses import replace
from functools import partial

from torch import Tensor, nn

from orbitconv.nn.conv import BasisConv2d
from orbitconv.train.settings import Plan


def laid_out(plan: Plan, network: nn.Module, device_type: str) -> Plan:
    """A plan whose memory layout is decided, where the settings say "auto".

    They do where that is faster and as exact: on a CPU if the network has layers on a group, whose batch norm adds up
    whole rows (torch's own adds channels-last numbers one by one there, at a cost of a digit or two), and on a GPU in
    16 bits.
    """
    last = plan.hardware.channels_last
    if last == "auto":
        on_group = any(isinstance(module, BasisConv2d) for module in network.modules())
        last = on_group if device_type == "cpu" else plan.hardware.precision != "32"
    return replace(plan, hardware=replace(plan.hardware, channels_last=last))


def lay_out_gradients(network: nn.Module) -> None:
    """Give gradients the strides of their weights; DistributedDataParallel copies others, with a warning.

    Products of matrices leave other strides on sides of one element, where they mean nothing.
    """
    for weight in network.parameters():
        if weight.requires_grad:
            weight.register_hook(partial(_like, weight.stride()))


def _like(strides: tuple[int, ...], gradient: Tensor) -> Tensor:
    """The same numbers with other strides."""
    return (
        gradient
        if gradient.stride() == strides
        else gradient.new_empty_strided(gradient.shape, strides).copy_(gradient)
    )
