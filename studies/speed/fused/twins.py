"""A network with the layers of a peer in place of this library's: as many fields, its own filters, norms and pools.

What stands between layers, sums and concatenations, stays, as do pools and upsampling of planes, which are the same
arithmetic in every library.
"""

import copy
from typing import Any

from torch import Tensor, nn

from orbitconv.nn import GroupBatchNorm2d, GroupConv2d, GroupPool, LiftingConv2d
from studies.base.peers import PEERS, import_peer, quiet


class _Peer(nn.Module):
    """A peer's layer on plain tensors, whose group axis is of that order; without one for images and pooled planes."""

    def __init__(self, layer: Any, wrap: Any, order: int) -> None:
        super().__init__()
        self.layer, self.wrap, self.order = layer, wrap, order

    def forward(self, x: Tensor) -> Tensor:
        """Wrap, call, unwrap."""
        y = self.layer(self.wrap(x.flatten(1, -3), self.layer.in_type)).tensor
        return y if self.layer.out_type.representations[0].size == 1 else y.unflatten(1, (-1, self.order))


def twin_of(library: str, network: nn.Module) -> nn.Module:
    """A network with a peer's convolutions, batch norms, rectifiers and pools over the group.

    Args:
        library: The peer.
        network: A network on a cyclic group; it is left as it is.

    Returns:
        The twin, with random weights.
    """
    with quiet():
        gspaces, layers = import_peer(library, "python -m studies bench-fused")
    network = copy.deepcopy(network)
    order = next(module.group.order for module in network.modules() if isinstance(module, LiftingConv2d))
    plane = getattr(gspaces, PEERS[library][0])(order)

    def fields(count: int, *, is_regular: bool = True) -> Any:
        return layers.FieldType(plane, count * [plane.regular_repr if is_regular else plane.trivial_repr])

    def made(module: nn.Module, before: int) -> Any:
        """The peer's layer; `before` counts the fields that come in, where a module does not know."""
        if isinstance(module, LiftingConv2d | GroupConv2d):
            entry = fields(module.in_channels, is_regular=isinstance(module, GroupConv2d))
            theirs = layers.R2Conv(
                entry, fields(module.out_channels), module.kernel_size[0], padding=module.padding[0],
                stride=module.stride[0], bias=module.bias is not None, initialize=False,
            )  # fmt: skip
            nn.init.normal_(theirs.weights, std=(entry.size * module.kernel_size[0] ** 2) ** -0.5)
            return theirs
        if isinstance(module, GroupBatchNorm2d):
            return layers.InnerBatchNorm(fields(module.num_features))
        return layers.ReLU(fields(before)) if isinstance(module, nn.ReLU) else layers.GroupPooling(fields(before))

    before = 0
    with quiet():
        for name, module in list(network.named_modules()):  # in the order of the forward pass
            if isinstance(module, LiftingConv2d | GroupConv2d | GroupBatchNorm2d | nn.ReLU | GroupPool):
                network.set_submodule(name, _Peer(made(module, before), layers.GeometricTensor, order))
            before = getattr(module, "out_channels", before)
    return network
