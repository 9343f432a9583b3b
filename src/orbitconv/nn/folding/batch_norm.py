"""Batch norm in inference is an affine map of each channel, which the convolution before it can do."""

import torch
from torch import fx, nn

Convolution = nn.Conv1d | nn.Conv2d | nn.Conv3d | nn.ConvTranspose2d
BatchNorm = nn.BatchNorm1d | nn.BatchNorm2d | nn.BatchNorm3d


def merge_batch_norms(network: fx.GraphModule) -> None:
    """Merge every batch norm into the convolution before it, where nothing else sees what the convolution returns.

    The network, in eval mode, is changed in place.
    """
    for node in list(network.graph.nodes):
        norm = _called(network, node)
        if isinstance(norm, BatchNorm) and norm.running_var is not None:
            before = node.args[0]
            convolution = _convolution_of(network, before, norm.num_features)
            if convolution is not None:
                _merge(convolution, norm)
                node.replace_all_uses_with(before)
                network.graph.erase_node(node)
    network.delete_all_unused_submodules()
    network.graph.lint()
    network.recompile()


def _convolution_of(network: fx.GraphModule, node: fx.Node, channels: int) -> Convolution | None:
    """The convolution that only this node comes from, if its channels are these, or these for each group element."""
    split = _called(network, node)
    if isinstance(split, nn.Unflatten) and split.dim == 1 and split.unflattened_size[0] == channels:
        if len(node.users) > 1:
            return None
        channels, node = channels * int(split.unflattened_size[1]), node.all_input_nodes[0]
    convolution = _called(network, node)
    if not isinstance(convolution, Convolution) or convolution.out_channels != channels:
        return None
    calls = network.graph.find_nodes(op="call_module", target=node.target)
    return convolution if len(calls) == len(node.users) == 1 else None


def _called(network: fx.GraphModule, node: fx.Node) -> nn.Module | None:
    """The module of torch's own that a node calls, if it calls one."""
    module = network.get_submodule(str(node.target)) if node.op == "call_module" else None
    return module if type(module).__module__.startswith("torch.nn.modules.") else None


@torch.no_grad()
def _merge(convolution: Convolution, norm: BatchNorm) -> None:
    """Scale the filters and shift the bias, in float64: weight * scale, (bias - mean) * scale + shift."""
    assert norm.running_mean is not None
    assert norm.running_var is not None
    mean, scale = norm.running_mean.double(), (norm.running_var.double() + norm.eps).rsqrt()
    shift = torch.zeros_like(mean)
    if norm.affine:
        scale, shift = scale * norm.weight.double(), norm.bias.double()
    copies = convolution.out_channels // norm.num_features
    mean, scale, shift = (value.repeat_interleave(copies) for value in (mean, scale, shift))
    weight = convolution.weight
    if convolution.bias is not None:
        mean = mean - convolution.bias.double()
    kernel = (1,) * (weight.ndim - 2)
    if isinstance(convolution, nn.ConvTranspose2d):  # its output channels stand in axis 1, block by block
        blocks = weight.double().unflatten(0, (convolution.groups, -1))
        scaled = (blocks * scale.reshape(convolution.groups, 1, -1, *kernel)).flatten(0, 1)
    else:
        scaled = weight.double() * scale.reshape(-1, 1, *kernel)
    convolution.weight = nn.Parameter(scaled.to(weight.dtype))
    convolution.bias = nn.Parameter((shift - mean * scale).to(weight.dtype))
