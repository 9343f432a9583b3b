"""Convert a network of equivariant layers to plain torch modules."""

import copy
from collections.abc import Callable, Collection, Mapping
from typing import Any

from torch import fx, nn
from torch.nn.utils import parametrize

from orbitconv.nn.flat import GroupNetwork
from orbitconv.nn.folding.batch_norm import merge_batch_norms
from orbitconv.nn.folding.known_values import Example, check_batches, check_same
from orbitconv.nn.folding.parts import Whole
from orbitconv.nn.folding.rules import FUNCTION_RULES, RULES, FunctionRule, Rule
from orbitconv.nn.folding.trace import check_known, trace


def fold(
    model: nn.Module,
    *,
    rules: Mapping[type[nn.Module], Rule] | None = None,
    example: Example | None = None,
) -> fx.GraphModule:
    """The same network in plain torch modules: filters expanded for good, batch norm merged, dropout gone.

    A `GroupConv2d` becomes a `torch.nn.Conv2d`, pooling over the group a maximum over an axis, and so on; what stands
    between the layers, such as `torch.cat`, residual sums or `F.relu`, stays. The result is in eval mode, needs no
    orbitconv to load (`torch.save`, `torch.export`, `torch.jit.script`), has ordinary parameters, and may be trained
    on, after which its filters no longer turn together. The model is not changed.

    The model's forward is followed by `torch.fx`, so that it may not branch on values or shapes of the input. Modules
    of your own that do so stay as they are, if they hold no layer of this library. With an example, branches on shapes
    and types, and loops, are followed as they go there; shapes that are only computed with stay free. A network that
    `orbitconv.convert` made knows one: it is folded without where that is right, else with it.

    Args:
        model: Any module that is built on layers of this library.
        rules: For classes of your own, or in place of the rule of a layer: a function from the module to a module of
            the same input and output, in eval mode. It may consist of layers that have rules.
        example: Input of the model: a tensor, a tuple of arguments, or a mapping of them by name. The folded network
            takes the same arguments, and is compared with the model on them. It is valid for other inputs for which the
            forward takes the same branches. Outputs that are dataclasses and dictionaries at once become
            dictionaries.

    Returns:
        The network.

    Raises:
        ArithmeticError: If the outputs of folded network and model differ on the example.
        TypeError: If the model calls a layer of this library, or one of yours that asks a basis for its atoms, that has
            no rule; names the layer, and where it is.
        ValueError: If a forward cannot be traced; says whose, and why. If it fixes the number of samples to that of
            the example, as `len(x)` does.

    Example:
        >>> import torch
        >>> from orbitconv import Cyclic, ExactBasis
        >>> from orbitconv.models import SmallCNN
        >>> network = SmallCNN(ExactBasis(Cyclic(4), 3), width=2).eval()
        >>> x = torch.randn(1, 1, 16, 16)
        >>> torch.allclose(fold(network)(x), network(x), atol=1e-6)
        True
    """
    known = model.example() if example is None and isinstance(model, GroupNetwork) else None
    if known is not None:
        try:
            folded = fold_with(model, {**RULES, **(rules or {})}, FUNCTION_RULES)
            check_same(model, folded, known)
            check_batches(model, folded, known)
            return folded
        except (ValueError, RuntimeError, ArithmeticError):  # branches, which may also be dropped without a word
            example = known
    folded = fold_with(model, {**RULES, **(rules or {})}, FUNCTION_RULES, example)
    if example is not None:
        check_same(model, folded, example)
        check_batches(model, folded, example)
    return folded


def fold_with(
    model: nn.Module,
    rules: Mapping[type[nn.Module], Rule],
    functions: Mapping[Callable[..., Any], FunctionRule | None],
    example: Example | None = None,
) -> fx.GraphModule:
    """`fold` with other rules."""
    name, model = type(model).__name__, copy.deepcopy(model).eval()
    settle_parametrizations(model)
    while rule := _find_rule(model, rules):
        model = rule(model)
    check_known(model, "")
    network = _trace_layers(model, rules, functions, example)
    while _make_plain(network, rules, functions):  # what a rule returns may have rules itself
        network = _trace_layers(network.eval(), rules, functions, example)
    merge_batch_norms(network)
    return fx.GraphModule(network, network.graph, name).eval()


def plain_layer(layer: nn.Module) -> nn.Module | None:
    """What one layer of this library is in plain torch modules; None if there is no rule for its class."""
    rule = _find_rule(layer, {c: r for c, r in RULES.items() if c is not GroupNetwork})
    return None if rule is None else rule(layer)


def settle_parametrizations(model: nn.Module) -> None:
    """Make ordinary parameters of those that are computed anew on every access."""
    for module in list(model.modules()):
        if parametrize.is_parametrized(module):
            # By hand: torch's own removal changes the class, which copies of the module share.
            values = {str(name): getattr(module, str(name)).detach().clone() for name in module.parametrizations}  # pyright: ignore[reportGeneralTypeIssues]
            del module.parametrizations
            module.__class__ = type(module).__bases__[0]
            for name, value in values.items():
                module.register_parameter(name, nn.Parameter(value))


def _find_rule(module: nn.Module, rules: Mapping[type[nn.Module], Rule]) -> Rule | None:
    """The rule of a module's class, or of one that it inherits its forward from."""
    for cls in type(module).__mro__:
        if cls in rules:
            return rules[cls] if type(module).forward is cls.forward else None
    return None


def _trace_layers(
    model: nn.Module,
    rules: Mapping[type[nn.Module], Rule],
    functions: Collection[Callable[..., Any]],
    example: Example | None,
) -> fx.GraphModule:
    """The graph of a network whose layers with rules are whole."""
    return trace(model, lambda m: isinstance(m, Whole) or _find_rule(m, rules) is not None, functions, example)


def _make_plain(
    network: fx.GraphModule,
    rules: Mapping[type[nn.Module], Rule],
    functions: Mapping[Callable[..., Any], FunctionRule | None],
) -> bool:
    """Put what the rules say in place of the layers and functions that have one; whether there were any."""
    found, targets = False, {}
    for node in network.graph.nodes:
        if node.op == "call_module":
            targets[str(node.target)] = None
        elif node.op == "call_function" and (function_rule := functions.get(node.target)):
            plain, found = function_rule(), True
            node.op, node.target = "call_module", f"plain_{node.name}"
            network.add_submodule(node.target, plain)
    for target in targets:
        layer = network.get_submodule(target)
        if rule := _find_rule(layer, rules):
            plain, found = rule(layer), True
            if not isinstance(plain, nn.Module):
                raise TypeError(
                    f"fold expects the rule of {type(layer).__name__} to return a module, got {type(plain).__name__}."
                )
            network.set_submodule(target, plain)
    network.recompile()
    return found
