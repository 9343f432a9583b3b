"""Values of the nodes of a graph on an example, computed during tracing.

With it, a forward may ask a stand-in for its length, its class or the truth of a comparison, and is answered as the
network would be on the example. Arithmetic on shapes stays arithmetic; only answers are fixed.
"""

import copy
import dataclasses
import inspect
import operator
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.fx.node import map_arg
from torch.utils._pytree import tree_leaves, tree_map

from orbitconv.nn.folding.parts import Succession

Example = Tensor | tuple[Any, ...] | Mapping[str, Any]
"""What a network is called with: one tensor, positional arguments, or keyword arguments."""

_QUESTIONS = {getattr, operator.getitem, operator.eq, operator.ne, operator.lt, operator.le, operator.gt, operator.ge,
              operator.mod, operator.floordiv, operator.not_, operator.and_, operator.or_}  # fmt: skip


def as_arguments(example: Example) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Positional and keyword arguments of a call."""
    if isinstance(example, Mapping):
        return (), dict(example)
    return (tuple(example), {}) if isinstance(example, tuple | list) else ((example,), {})


def named_arguments(model: nn.Module, example: Example) -> dict[str, Any]:
    """What a network is called with, by the names of its forward."""
    positional, named = as_arguments(example)
    signature = inspect.signature((model[0] if isinstance(model, Succession) else model).forward)
    found = signature.bind(*positional, **named).arguments
    for name, parameter in signature.parameters.items():
        if parameter.kind is parameter.VAR_POSITIONAL and name in found:
            raise TypeError(f"fold expects a forward whose arguments have names, got *{name}.")
        if parameter.kind is parameter.VAR_KEYWORD:
            found.update(found.pop(name, {}))
    return found


@contextmanager
def taking_only(model: nn.Module, names: Collection[str]) -> Iterator[None]:
    """Let the forward of a network take these arguments and no others, which then have their defaults."""
    cls = type(model)
    made: dict[str, Any] = {"original": cls.forward}
    exec(  # torch.fx counts the arguments of the code itself
        f"def forward(self, {', '.join(names)}):\n    return original(self, {', '.join(f'{n}={n}' for n in names)})",
        made,
    )
    model.__class__ = type(cls.__name__, (cls,), {"forward": made["forward"], "__module__": cls.__module__})
    try:
        yield
    finally:
        model.__class__ = cls


class KnownValues:
    """The value of every node when a network is called with an example."""

    def __init__(self, model: nn.Module, example: Example) -> None:
        self.model, self._given, self._of = model, named_arguments(model, example), dict[fx.Node, Any]()
        self.is_busy = False

    @property
    def names(self) -> list[str]:
        """Names of the arguments that the example has."""
        return list(self._given)

    def of(self, node: fx.Node) -> Any:
        """The value of a node."""
        return self._of[node]

    @torch.no_grad()
    def compute(self, node: fx.Node) -> None:
        """Do what a node says."""
        self.is_busy = True
        try:
            args: Any = map_arg(node.args, self._of.__getitem__)
            named: Any = map_arg(node.kwargs, self._of.__getitem__)
            if node.op == "placeholder":
                self._of[node] = self._given.get(str(node.target), args[0] if args else None)
            elif node.op == "get_attr":
                self._of[node] = operator.attrgetter(str(node.target))(self.model)
            elif node.op == "call_method":
                self._of[node] = getattr(args[0], str(node.target))(*args[1:], **named)
            elif node.op != "output":
                called: Callable[..., Any] = (
                    self.model.get_submodule(str(node.target)) if isinstance(node.target, str) else node.target
                )
                self._of[node] = called(*args, **named)
        finally:
            self.is_busy = False


def drop_questions(graph: fx.Graph) -> None:
    """Take out what was only asked: shapes, comparisons and their parts that nothing else uses."""
    for node in reversed(list(graph.nodes)):
        asks = (node.op == "call_function" and node.target in _QUESTIONS) or (
            node.op == "call_method" and node.target in {"size", "dim", "numel"}
        )
        if asks and not node.users:
            graph.erase_node(node)


@torch.no_grad()
def check_same(model: nn.Module, folded: nn.Module, example: Example) -> None:
    """Refuse a folded network that gives another output than its model, both in eval mode."""
    model = copy.deepcopy(model).eval()
    outputs = []
    for network in (model, folded):
        positional, named = as_arguments(copy.deepcopy(example))
        call = network.forward if isinstance(network, fx.GraphModule) else network  # which prints errors that it raises
        outputs.append(list(_tensors(call(*positional, **named))))
    before, after = outputs
    errors = [float("inf") if a.shape != b.shape else _off(a, b) for a, b in zip(after, before, strict=False)]
    if len(before) != len(after) or not all(
        e <= _ROUNDING.get(b.dtype, 0.05) for e, b in zip(errors, before, strict=True)
    ):
        raise ArithmeticError(
            f"fold made a network whose output differs from that of {type(model).__name__} on the example by "
            f"{max(errors, default=float('inf')):.2g} of its largest value. Look for branches on types or values in "
            "its forward, or say what such a part is: fold(model, rules={Part: function})."
        )


def check_batches(model: nn.Module, folded: nn.Module, example: Example) -> None:
    """Refuse a folded network that agrees with the model on its example alone, not on the example twice in a batch.

    Passes if the model does not take that either.
    """
    sizes = {len(x) for x in tree_leaves(as_arguments(example)) if isinstance(x, Tensor) and x.ndim > 1}
    if len(sizes) != 1:
        return
    twice = tree_map(lambda x: torch.cat([x, x]) if isinstance(x, Tensor) and x.ndim > 1 else x, example)
    try:
        check_same(model, model, twice)
    except Exception:  # the network itself takes so many samples only
        return
    try:
        check_same(model, folded, twice)
    except (RuntimeError, ArithmeticError) as error:
        raise ValueError(
            f"fold cannot make a network for other numbers of samples than the {sizes.pop()} of the example: a forward "
            f"in {type(model).__name__} asks for it as a Python number, as len(x) does. Write x.shape[0] or x.size(0)."
        ) from error


_ROUNDING = {torch.float64: 1e-9, torch.float32: 1e-4}


def _off(a: Tensor, b: Tensor) -> float:
    """Largest difference, in parts of the largest value."""
    if not b.numel():
        return 0.0
    difference = float((a - b).abs().max())
    return difference if difference == 0 else difference / float(b.abs().max().clamp(min=torch.finfo(b.dtype).tiny))


def _tensors(value: Any) -> Iterator[Tensor]:
    if isinstance(value, Tensor):
        if value.is_floating_point():
            yield value
    elif isinstance(value, Mapping):
        for one in value.values():
            yield from _tensors(one)
    elif isinstance(value, tuple | list):
        for one in value:
            yield from _tensors(one)
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        for one in dataclasses.fields(value):
            yield from _tensors(getattr(value, one.name))
