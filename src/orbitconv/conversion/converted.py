"""A converted network: the plain one with other layers, and what pools its output over the group."""

import copy
from collections.abc import Mapping
from typing import Any, final

import torch
from torch import nn

from orbitconv.conversion.observation import Example, replace_modules
from orbitconv.conversion.outputs import Outputs
from orbitconv.conversion.report import ConversionReport
from orbitconv.groups import Group
from orbitconv.metrics.diagnosis.arguments import with_images
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
        example: What the plain network was called with; of its images only the shapes are kept.

    Shapes:
        As the plain network's.
    """

    outputs: Outputs
    conversion: Mapping[str, Any] | None
    """What a `Builder` takes to convert again, for files; None where no file can hold it, such as a function."""
    builder: Any
    """What builds the plain network, where that came from a file; else None."""

    def __init__(
        self, network: nn.Module, outputs: Outputs, group: Group, report: ConversionReport, example: Example
    ) -> None:
        super().__init__(network, outputs)
        self.group, self.report = group, report
        self.conversion = self.builder = None
        self._called_with = with_images(example, lambda images: torch.empty(images.shape, device="meta"))

    def example(self) -> Example:
        """Arguments like those of the conversion, with images of white noise, for `orbitconv.nn.fold`.

        They are in the precision and on the device of the network.
        """
        weights = next(self.parameters())
        draw = torch.Generator().manual_seed(0)
        return with_images(self._called_with, lambda images: torch.randn(images.shape, generator=draw).to(weights))

    def plain(self) -> nn.Module:
        """The same network with ordinary convolutions of torch, its filters expanded for good.

        Unlike `orbitconv.nn.fold` it needs no tracing: forwards that branch stay what they are, and batch norm is not
        merged. The result is in eval mode and shares nothing with this network.
        """
        network = copy.deepcopy(self).eval()
        settle_parametrizations(network)
        exchanged = {module: plain for module in network.modules() if (plain := plain_layer(module)) is not None}
        return GroupNetwork(replace_modules(network.network, exchanged), network.outputs).eval()
