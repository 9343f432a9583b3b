"""Fuse residual sums and rectifiers with the convolution before them, so that planes are written once."""

import operator
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import fx, nn

from orbitconv.nn.folding.packed import PackedConv2d

_SUMS: set[Callable[..., Any]] = {operator.add, torch.add}
_RECTIFIERS: set[Callable[..., Any]] = {F.relu, torch.relu}


def finish_convolutions(network: fx.GraphModule) -> None:
    """Let packed convolutions add and rectify, and rectify in place what other convolutions and sums return.

    Only where nothing else sees what lies between.
    """
    for node in list(network.graph.nodes):
        if isinstance(_called(network, node), PackedConv2d):
            _merge(network, node)
    for node in list(network.graph.nodes):
        if _rectifies(network, node) and _is_fresh(network, node.args[0]):
            with network.graph.inserting_before(node):
                done = network.graph.call_function(F.relu, (node.args[0],), {"inplace": True})
            node.replace_all_uses_with(done)
            network.graph.erase_node(node)
    network.delete_all_unused_submodules()
    network.graph.lint()
    network.recompile()


def _merge(network: fx.GraphModule, convolution: fx.Node) -> None:
    """Move a convolution to the sum after it, if there is one, and drop the rectifier after that."""
    calls = network.graph.find_nodes(op="call_module", target=convolution.target)
    split = _only_user(convolution)
    if len(calls) > 1 or split is None or not isinstance(_called(network, split), nn.Unflatten):
        return
    last, graph = split, network.graph
    following = _only_user(split)
    if following is not None and _is_sum(following):
        other = next((n for n in following.args if n is not split), None)
        if isinstance(other, fx.Node):
            with graph.inserting_before(following):
                planes = graph.call_method("flatten", (other, 1, 2))
                moved = graph.call_module(str(convolution.target), (*convolution.args, planes))
                last = graph.call_module(str(split.target), (moved,))
            following.replace_all_uses_with(last)
            for node in (following, split, convolution):
                graph.erase_node(node)
    rectifier = _only_user(last)
    if rectifier is not None and _rectifies(network, rectifier):
        packed: Any = network.get_submodule(str(convolution.target))
        packed.rectifies = True
        rectifier.replace_all_uses_with(last)
        graph.erase_node(rectifier)


def _is_sum(node: fx.Node) -> bool:
    return node.op == "call_function" and node.target in _SUMS and len(node.args) == 2 and not node.kwargs


def _rectifies(network: fx.GraphModule, node: fx.Node) -> bool:
    if node.op == "call_module":
        return type(_called(network, node)) is nn.ReLU
    is_function = node.op == "call_function" and node.target in _RECTIFIERS
    is_method = node.op == "call_method" and node.target in {"relu", "relu_"}
    return (is_function or is_method) and len(node.args) == 1


def _is_fresh(network: fx.GraphModule, node: Any) -> bool:
    """Whether a node makes numbers of its own, which nothing else sees."""
    if not isinstance(node, fx.Node) or len(node.users) > 1:
        return False
    module = _called(network, node)
    if isinstance(module, nn.Unflatten):
        return _is_fresh(network, node.args[0])
    return isinstance(module, nn.Conv2d | PackedConv2d)


def _only_user(node: fx.Node) -> fx.Node | None:
    return next(iter(node.users)) if len(node.users) == 1 else None


def _called(network: fx.GraphModule, node: fx.Node) -> nn.Module | None:
    return network.get_submodule(str(node.target)) if node.op == "call_module" else None
