"""How features lie in memory while a network trains."""

from dataclasses import replace

from torch import nn

from orbitconv.nn.conv import BasisConv2d
from orbitconv.train.settings import Plan


def laid_out(plan: Plan, network: nn.Module, device_type: str) -> Plan:
    """A plan that says whether features lie channels last, where the settings leave it open.

    They do where that is faster and as exact: on a CPU if the network has layers on a group, whose batch norm adds up
    whole rows (torch's own adds channels-last numbers one by one there, at a cost of a digit or two), and on a GPU in
    16 bits.

    Args:
        plan: What a training does.
        network: What it trains.
        device_type: Where, "cpu" or "cuda".

    Returns:
        The plan with `hardware.channels_last` true or false.
    """
    last = plan.hardware.channels_last
    if last == "auto":
        on_group = any(isinstance(module, BasisConv2d) for module in network.modules())
        last = on_group if device_type == "cpu" else plan.hardware.precision != "32"
    return replace(plan, hardware=replace(plan.hardware, channels_last=last))
