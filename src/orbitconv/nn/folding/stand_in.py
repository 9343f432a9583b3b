"""Proxies for tensors during tracing that answer questions for their class.

`torch.fx` hands proxies to a forward, for which `isinstance(x, torch.Tensor)` is false: a branch on it would be dropped
silently. These proxies answer as the tensor they stand for, and end the trace where they cannot know.
"""

import operator
import sys
from collections.abc import Iterator, Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import _jit_internal, fx, nn
from torch.fx.proxy import Attribute, TraceError

_ARITHMETIC = {
    operator.add, operator.sub, operator.mul, operator.truediv, operator.pow, operator.neg, operator.matmul,
    operator.iadd, operator.isub, operator.imul, operator.itruediv,
}  # fmt: skip
_FUNCTIONS = {
    torch.cat, torch.stack, torch.add, torch.mul, torch.relu, torch.sigmoid, torch.tanh, torch.flatten, torch.mean,
    F.relu, F.gelu, F.silu, F.elu, F.leaky_relu, F.softmax, F.log_softmax, F.dropout, F.pad, F.interpolate,
    F.avg_pool2d, F.adaptive_avg_pool2d, F.conv2d, F.linear, F.batch_norm,
}  # fmt: skip
_METHODS = {
    "add", "add_", "mul", "mul_", "relu", "relu_", "sigmoid", "tanh", "flatten", "unflatten", "reshape", "view",
    "permute", "transpose", "contiguous", "mean", "amax", "sum", "clone", "detach", "to", "float", "double", "squeeze",
    "unsqueeze",
}  # fmt: skip
_SEVERAL = (nn.RNNBase, nn.MultiheadAttention)
"""Modules of torch that return more than a tensor."""


_PASS_ON = {torch.is_tensor.__code__, torch.jit.isinstance.__code__, _jit_internal._isinstance.__code__}  # noqa: SLF001
"""Functions of torch that ask for a class on behalf of a forward."""


class _Asked:
    """Answers `isinstance` in a user's code as a tensor would."""

    _is_param = False  # which torch looks at to tell parameters apart
    node: fx.Node

    @property
    def __class__(self) -> type:  # pyright: ignore[reportIncompatibleMethodOverride]
        if not _asked_by_a_forward():
            return type(self)
        if type(self) is StandIn and _is_tensor(self.node):
            return torch.Tensor
        raise TraceError("it asks for the class of a value that is not known before the network runs")


class StandIn(_Asked, fx.Proxy):
    """A value of the graph."""

    def __getattr__(self, k: str) -> "_StandInAttribute":
        return _StandInAttribute(self, k)


class _StandInAttribute(_Asked, Attribute):  # pyright: ignore[reportIncompatibleVariableOverride]
    """An attribute of such a value, a shape perhaps, or a method."""


class KnownStandIn(StandIn):
    """A value of the graph that is known on an example, and answers as it would."""

    @property
    def __class__(self) -> type:  # pyright: ignore[reportIncompatibleMethodOverride]
        return type(self) if not _asked_by_a_forward() else type(_known(self))

    def __getattr__(self, k: str) -> "_KnownAttribute":
        return _KnownAttribute(self, k)

    def __len__(self) -> int:
        return len(_known(self))

    def __index__(self) -> int:
        return operator.index(_known(self))

    def __int__(self) -> int:
        return int(_number(self))

    def __float__(self) -> float:
        return float(_number(self))

    def __contains__(self, item: Any) -> bool:
        return item in _known(self)


class _KnownAttribute(_StandInAttribute, KnownStandIn):  # pyright: ignore[reportIncompatibleVariableOverride]
    """An attribute of such a value."""

    @property
    def __class__(self) -> type:  # pyright: ignore[reportIncompatibleMethodOverride]
        return type(self) if not _asked_by_a_forward() else type(_known(self))

    def __len__(self) -> int:
        return len(_known(self))


def _known(proxy: fx.Proxy) -> Any:
    """The value of a stand-in on the example."""
    values: Any = proxy.tracer.values  # pyright: ignore[reportAttributeAccessIssue]
    return values.of(proxy.node)


def _number(proxy: fx.Proxy) -> Any:
    """The value, if it is not one of the numbers that the network computes."""
    value = _known(proxy)
    if isinstance(value, torch.Tensor):
        raise TraceError("it branches on numbers that it computes from the images")
    return value


def truth_of(proxy: fx.Proxy) -> bool:
    """Whether a stand-in is true on the example."""
    return bool(_number(proxy))


def parts_of(proxy: Any) -> Iterator[Any]:
    """The parts of a stand-in for a sequence or a dictionary, as stand-ins."""
    value = _known(proxy)
    yield from value if isinstance(value, Mapping) else (proxy[i] for i in range(len(value)))


def _asked_by_a_forward() -> bool:
    """Whether the question comes from outside torch; some functions and abstract classes only pass it on."""
    frame = sys._getframe(2)  # noqa: SLF001
    while frame.f_back is not None and (
        frame.f_globals.get("__name__") in {"abc", "typing"} or frame.f_code in _PASS_ON
    ):
        frame = frame.f_back
    return str(frame.f_globals.get("__name__")).partition(".")[0] != "torch"


def _is_tensor(node: fx.Node) -> bool:
    """Whether a node is known to be one tensor; inputs of the network are taken to be."""
    if node.op == "call_function":
        some = any(_is_tensor(before) for before in node.all_input_nodes)
        return node.target in _FUNCTIONS or (node.target in _ARITHMETIC and some)
    if node.op == "call_method":
        return node.target in _METHODS and _is_tensor(node.all_input_nodes[0])
    if node.op == "call_module":
        return node.meta.get("returns_tensor", False)
    return node.op in {"placeholder", "get_attr"}


def note_result(module: nn.Module, result: Any) -> None:
    """Note on a value that it comes from a module which returns one tensor."""
    own = type(module).__module__.startswith(("torch.nn.modules.", "orbitconv.nn."))
    if type(result) is StandIn and result.node.op == "call_module" and own and not isinstance(module, _SEVERAL):
        result.node.meta["returns_tensor"] = not getattr(module, "return_indices", False)
