"""A converted network: the plain one with other layers, and what pools its output over the group."""

import copy
from typing import final

from torch import nn

from orbitconv.conversion.observation import replace_modules
from orbitconv.conversion.outputs import Outputs
from orbitconv.conversion.report import ConversionReport
from orbitconv.groups import Group
from orbitconv.nn.flat import GroupNetwork
from orbitconv.nn.folding import plain_layer, settle_parametrizations


@final
class Converted(GroupNetwork):
    """A network of equivariant layers in the forwards of a plain one, called as that is.

    Args:
        network: The plain network with its layers exchanged.
        outputs: What pools its output.
        group: The group.
        report: What became of the layers.

    Shapes:
        As the plain network's.
    """

    outputs: Outputs

    def __init__(self, network: nn.Module, outputs: Outputs, group: Group, report: ConversionReport) -> None:
        super().__init__(network, outputs)
        self.group, self.report = group, report

    def plain(self) -> nn.Module:
        """The same network with ordinary convolutions, its filters expanded for good.

        Unlike `orbitconv.nn.fold` it needs no tracing: forwards that branch stay what they are, and batch norm is not
        merged. The result is in eval mode and shares nothing with this network.

        Returns:
            A network of torch's layers and the model's own classes.
        """
        network = copy.deepcopy(self).eval()
        settle_parametrizations(network)
        exchanged = {module: plain for module in network.modules() if (plain := plain_layer(module)) is not None}
        return GroupNetwork(replace_modules(network.network, exchanged), network.outputs).eval()
