"""Trace a network into a graph of calls, with some modules left whole."""

import copy
from collections.abc import Callable, Collection, Iterator
from contextlib import nullcontext
from typing import Any

from torch import fx, nn

from orbitconv.bases import FilterBasis
from orbitconv.nn.folding.known_values import Example, KnownValues, drop_questions, taking_only
from orbitconv.nn.folding.stand_in import KnownStandIn, StandIn, note_result, parts_of, truth_of


class UnknownLayerError(TypeError):
    """A layer that folding has no rule for."""


class _Tracer(fx.Tracer):
    """Trace a network through its modules, and keep the path of the current one; `values` are known on an example."""

    def __init__(
        self,
        model: nn.Module,
        is_whole: Callable[[nn.Module], bool],
        functions: Collection[Callable[..., Any]],
        values: KnownValues | None,
    ) -> None:
        super().__init__(autowrap_functions=tuple(functions))
        self.is_whole, self.values = is_whole, values
        self.inside = [("", model)]  # path and module of those that are being called, outermost first

    def proxy(self, node: fx.Node) -> fx.Proxy:
        return StandIn(node, self) if self.values is None else KnownStandIn(node, self)

    def create_node(self, kind: str, *args: Any, **kwargs: Any) -> fx.Node:
        node = super().create_node(kind, *args, **kwargs)
        if self.values is not None:
            self.values.compute(node)
        return node

    def getattr(self, attr: str, attr_val: Any, parameter_proxy_cache: dict[str, Any]) -> Any:
        if self.values is not None and self.values.is_busy:
            return attr_val
        return super().getattr(attr, attr_val, parameter_proxy_cache)

    def to_bool(self, obj: fx.Proxy) -> bool:
        return super().to_bool(obj) if self.values is None else truth_of(obj)

    def iter(self, obj: fx.Proxy) -> Iterator[Any]:
        return super().iter(obj) if self.values is None else parts_of(obj)

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return self.is_whole(m) or super().is_leaf_module(m, module_qualified_name)

    def call_module(
        self, m: nn.Module, forward: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        if self.values is not None and self.values.is_busy:
            return forward(*args, **kwargs)
        path = self.path_of_module(m)
        if isinstance(m, FilterBasis):
            raise _unknown(*self.inside[-1])
        if not self.is_whole(m):
            check_known(m, path)
        self.inside.append((path, m))
        result = super().call_module(m, forward, args, kwargs)
        note_result(m, result)
        self.inside.pop()  # not after an error, so that it tells where that was
        return result


def trace(
    model: nn.Module,
    is_whole: Callable[[nn.Module], bool],
    functions: Collection[Callable[..., Any]] = (),
    example: Example | None = None,
) -> fx.GraphModule:
    """Trace a network into a graph of calls, which takes over its tensors.

    Modules for which `is_whole` is true, torch's own, and named functions stay one node. A user's module that cannot be
    traced stays whole if it holds no layer of this library. An example decides branches on shapes and types, and loops.

    Raises:
        UnknownLayerError: If a layer of this library is not whole.
        ValueError: If the network cannot be traced; says where.
    """
    kept: set[nn.Module] = set()
    while True:
        values = None if example is None else KnownValues(model, copy.deepcopy(example))
        tracer = _Tracer(model, lambda m: m in kept or is_whole(m), functions, values)
        try:
            with nullcontext() if values is None else taking_only(model, values.names):
                graph = tracer.trace(model)
        except UnknownLayerError:
            raise
        except Exception as error:  # a user's code may do anything when it gets stand-ins for tensors
            path, culprit = tracer.inside[-1]
            if culprit is model or any(_is_ours(type(m)) for m in culprit.modules()):
                name = type(culprit).__name__
                advice = "An example, fold(model, example=images), answers questions for shapes and types; or move"
                raise ValueError(
                    f"fold cannot trace the forward of {name} ({_where(path)}): {str(error).partition('. ')[0]}. A "
                    f"graph holds no branches on shapes or values of the input. {'Move' if values else advice} that "
                    "part into a module of its own without layers of orbitconv, which then stays as it is, or say what "
                    f"it is in plain torch modules: fold(model, rules={{{name}: function}})."
                ) from error
            kept.add(culprit)
        else:
            graph._tracer_cls = fx.Tracer  # noqa: SLF001  # a saved graph asks for this class when it is loaded,
            for node in graph.nodes:  # and for whatever the annotations of a forward name
                node.type = None
            if values is not None:
                drop_questions(graph)
            return fx.GraphModule(model, graph, type(model).__name__)


def check_known(m: nn.Module, path: str) -> None:
    """Refuse layers of this library, and subclasses of them, by name and path.

    Raises:
        UnknownLayerError: If it is one; names the layer and its path.
    """
    if any(_is_ours(cls, "orbitconv.nn.") for cls in type(m).__mro__) and not _is_ours(
        type(m), "orbitconv.nn.folding."
    ):
        raise _unknown(path, m)


def _is_ours(cls: type, package: str = "orbitconv.") -> bool:
    return cls.__module__.startswith(package)


def _unknown(path: str, m: nn.Module) -> UnknownLayerError:
    name = type(m).__name__
    return UnknownLayerError(
        f"fold does not know the layer {name} ({_where(path)}). Say what it is in plain torch modules: "
        f"fold(model, rules={{{name}: function}}), where function(layer) returns a module of the same input and output."
    )


def _where(path: str) -> str:
    return f"at {path}" if path else "the model itself"
