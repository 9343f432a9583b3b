"""Run a network twice, on images and on turned ones, and compare operation by operation.

Calls of layers and of torch's functions between them are met in the same order in both runs. In the second run a result
that is not the turned one is exchanged for it before the network goes on, so that each operation is judged by what it
does itself, whatever came before.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils.weak import WeakIdKeyDictionary

from orbitconv._support.precision import at_least_float32
from orbitconv.bases import FilterBasis
from orbitconv.groups import Group
from orbitconv.metrics.diagnosis.arguments import images_in
from orbitconv.metrics.diagnosis.fields import Field, possible_fields
from orbitconv.metrics.outputs import select
from orbitconv.nn import BasisConv2d
from orbitconv.nn.folding.known_values import Example, as_arguments

_CONTAINERS = (
    nn.Sequential,
    nn.ModuleList,
    nn.ModuleDict,
    nn.Transformer,
    nn.TransformerEncoder,
    nn.TransformerDecoder,
)
_REARRANGING = frozenset({
    "view", "reshape", "flatten", "unflatten", "permute", "transpose", "movedim", "squeeze", "unsqueeze", "expand",
    "contiguous", "clone", "detach", "chunk", "split", "unbind", "swapaxes", "swapdims", "view_as", "reshape_as", "t",
    "moveaxis", "stack", "tensor_split", "split_with_sizes", "Flatten", "Unflatten", "Identity",
})  # fmt: skip
"""Operations that move numbers to other places of a tensor, and change none."""
_WEIGHTED = (nn.modules.conv._ConvNd, nn.Linear)  # noqa: SLF001


@dataclass
class State:
    """What is known of a tensor that comes from the images: ways in which it turns, or the operation that lost all."""

    fields: list[Field]
    origin: "Step | None" = None


@dataclass
class Step:
    """One operation: a call of a layer (`owner`), or of a function between layers.

    For each output there are the ways of reading that every element so far allows, for each element the largest error
    of the outputs. Where the turn is lost, `call` holds (function or layer, arguments, by name) of the second run,
    `states` what was known of its inputs, `fixed` the tensors among its arguments that do not come from the images. If
    `is_open`, its output was left as it is because no way of reading it is known.
    """

    path: str
    name: str
    owner: nn.Module | None
    outputs: list[Tensor]
    fields: list[list[Field]] = field(default_factory=list)
    errors: dict[int, float] = field(default_factory=dict)
    call: tuple[Any, tuple[Any, ...], dict[str, Any]] | None = None
    states: list[State] = field(default_factory=list)
    fixed: list[Tensor] = field(default_factory=list)
    is_open: bool = False

    @property
    def is_layer(self) -> bool:
        """Whether this is a layer rather than a function."""
        return self.owner is not None


class BranchError(Exception):
    """A network that calls other operations for turned images."""


class Follower(TorchFunctionMode):
    """Meets every operation of a network; up to `tolerance`, a relative error, something turns exactly."""

    def __init__(self, model: nn.Module, group: Group, tolerance: float, *, square: bool) -> None:
        super().__init__()
        self.model, self.group, self.tolerance, self.square = model, group, tolerance, square
        self.steps: list[Step] = []
        self._element: int | None = None
        self._next = 0
        self._busy = 0
        self._inside: list[str] = []
        self._known: WeakIdKeyDictionary = WeakIdKeyDictionary()

    def run(self, images: Example, element: int | None) -> Any:
        """Call the network."""
        self._element, self._next, self._busy, self._inside = element, 0, 0, []
        self._known = WeakIdKeyDictionary()
        for one in images_in(images):
            self._known[one] = State([Field(2)])
        positional, named = as_arguments(images)
        with self._watching(), self:
            output = self.model(*positional, **named)
        if element is not None and self._next != len(self.steps):
            raise BranchError
        return output

    def state_of(self, tensor: Tensor) -> State | None:
        """What is known of a tensor of the last run."""
        return self._known.get(tensor)

    @contextmanager
    def _watching(self) -> Iterator[None]:
        """Hooks on every module: layers are met whole, others tell where functions are called."""
        handles = []
        for path, module in self.model.named_modules():
            if _is_weight(module, path):
                continue
            layer = is_layer(module)

            def before(_module: nn.Module, _inputs: Any, path: str = path, layer: bool = layer) -> None:
                self._inside.append(path)
                self._busy += layer

            def after(
                module: nn.Module, inputs: Any, named: Any, output: Any, path: str = path, layer: bool = layer
            ) -> Any:
                self._inside.pop()
                self._busy -= layer
                if layer and not self._busy:
                    return self._meet(path, type(module).__name__, module, (module, inputs, named), output)
                return None

            handles += [
                module.register_forward_pre_hook(before),
                module.register_forward_hook(after, with_kwargs=True),
            ]
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        output = func(*args, **kwargs)
        if self._busy:
            return output
        name = getattr(func, "__name__", "")
        if name == "__get__":  # of attributes, only those that are tensors
            name = getattr(getattr(func, "__self__", None), "__name__", name)
        if name == "__setitem__":
            return (
                self._meet(self._inside[-1] if self._inside else "", name, None, (func, args, kwargs), args[0]) and None
            )
        met = self._meet(self._inside[-1] if self._inside else "", name, None, (func, args, kwargs), output)
        return output if met is None else met

    def _meet(self, path: str, name: str, owner: nn.Module | None, call: tuple[Any, Any, Any], output: Any) -> Any:
        """Note an operation in the first run, judge it in the others; returns what stands in place of its output."""
        self._busy += 1
        try:
            return self._judged(path, name, owner, call, output)
        finally:
            self._busy -= 1

    def _judged(self, path: str, name: str, owner: nn.Module | None, call: tuple[Any, Any, Any], output: Any) -> Any:
        inputs = [t for t in tensors_in((call[1], call[2])) if t in self._known]
        outputs = [t for t in tensors_in(output) if t.is_floating_point() and t.numel()]
        if not inputs or not outputs:
            return None
        states = [self._known[t] for t in inputs]
        if self._element is None:
            self.steps.append(Step(path, name, owner, [t.detach().clone() for t in outputs]))
            for tensor in outputs:
                self._known[tensor] = State([Field(2)])
            return None
        step = self.steps[self._next] if self._next < len(self.steps) else None
        if step is None or (step.path, step.name) != (path, name) or len(step.outputs) != len(outputs):
            raise BranchError
        self._next += 1
        step.states = states
        corrected: dict[int, Tensor] = {}
        for slot, (tensor, before) in enumerate(zip(outputs, step.outputs, strict=True)):
            if len(step.fields) <= slot:
                step.fields.append(self._possible(before, owner))
            right = self._judge(step, slot, tensor, inputs, call)
            if right is not None:
                if any(tensor is one for one in inputs) or name == "__setitem__":
                    tensor.copy_(right)
                else:
                    corrected[id(tensor)] = right
        return _exchanged(output, corrected) if corrected else None

    def _possible(self, output: Tensor, owner: nn.Module | None) -> list[Field]:
        """Ways in which an output may turn; of our convolutions it is known."""
        if isinstance(owner, BasisConv2d) and self.group.order > 1 and output.shape[2] == self.group.order:
            return [Field(3, (), "axis", 2)]
        return list(possible_fields(tuple(output.shape), self.group, square=self.square))

    def _judge(self, step: Step, slot: int, after: Tensor, inputs: list[Tensor], call: Any) -> Tensor | None:
        """Compare one output with the first run's; returns what to go on with where that is not what came out."""
        states = step.states
        element, before = self._element, step.outputs[slot]
        assert element is not None
        step.errors.setdefault(element, 0.0)
        possible = step.fields[slot]
        errors: dict[Field, float] = {}
        for one in possible:
            errors[one] = relative_error(after, one.turn(before, self.group, element))
        fits = [one for one in possible if errors[one] <= self.tolerance]
        if fits:
            step.fields[slot] = fits
            step.errors[element] = max(step.errors[element], errors[fits[0]])
            self._known[after] = State(fits)
            return None
        origin = next((state.origin for state in states if not state.fields), None)
        half_way = self.square and _lost_its_square(after, states)
        begins = origin is None and (step.name in _REARRANGING or half_way)
        goes_on = origin is not None and (half_way or not self._ends(step) or _same_rows(before, after, self.tolerance))
        if begins or goes_on:
            self._known[after], step.is_open = State([], origin or step), True
            self._remember(step, call)
            return None
        guess = self._guess(possible, errors, after, inputs)
        step.errors[element] = max(step.errors[element], min(errors.values(), default=float("inf")))
        self._remember(step, call)
        if guess is None:
            self._known[after] = State([], origin or step)
            return None
        step.fields[slot] = [guess]
        right = guess.turn(before, self.group, element)
        self._known[right] = self._known[after] = State([guess])
        return right if right.shape == after.shape else None

    def _remember(self, step: Step, call: tuple[Any, Any, Any]) -> None:
        """Keep the arguments of an operation whose output is in question."""
        if step.call is None:
            step.call = call
            step.fixed = [t for t in tensors_in((call[1], call[2])) if t not in self._known]

    def blame(self, tensor: Tensor) -> None:
        """Hold the operation that a tensor of unknown turning comes from to account: nothing behind it can be known."""
        state = self._known.get(tensor)
        if state is not None and not state.fields and state.origin is not None and self._element is not None:
            state.origin.errors[self._element], state.origin.is_open = float("inf"), False

    def _ends(self, step: Step) -> bool:
        """Whether a tensor of unknown turning must be known behind this operation."""
        return isinstance(step.owner, _WEIGHTED) or step.name in {"linear", "conv2d", "conv_transpose2d"}

    def _guess(
        self, possible: list[Field], errors: dict[Field, float], after: Tensor, inputs: list[Tensor]
    ) -> Field | None:
        """How the output would turn: as the input does, where it has such axes; else the way of the least error."""
        known = [(one, x.ndim) for x in inputs for one in self._known[x].fields[:1]]
        for alike in (Field.is_like, Field.has_kind_of):
            found = [w for w in possible if any(alike(w, after.ndim, one, rank) for one, rank in known)]
            if found:
                return found[0]
        usual = [one for one in possible if one.kind not in {"directions", "vector"}]
        return min(usual, key=lambda one: errors[one], default=None)


def is_layer(module: nn.Module) -> bool:
    """Whether a module is met whole: those of torch and of this library that hold no other layers."""
    ours = type(module).__module__.startswith("orbitconv.nn.")
    if ours:
        return not any(not isinstance(child, FilterBasis) for child in module.children())
    return type(module).__module__.startswith("torch.nn.modules.") and not isinstance(module, _CONTAINERS)


def _is_weight(module: nn.Module, path: str) -> bool:
    """Bases and parametrizations make weights, not features."""
    return isinstance(module, FilterBasis) or "parametrizations" in path.split(".") or ".basis." in f".{path}."


def tensors_in(value: Any) -> list[Tensor]:
    """The tensors in arguments or an output."""
    return list(select(value, None, "check").values())


def relative_error(found: Tensor, expected: Tensor, mask: Tensor | float = 1.0) -> float:
    """||found - expected|| / ||expected||; 0 where nothing differs, infinite for other shapes and values not finite."""
    if found.shape != expected.shape:
        return float("inf")
    exact = at_least_float32(expected.dtype)
    found, expected = found.detach().to(exact) * mask, expected.detach().to(exact) * mask
    difference = float(torch.linalg.vector_norm(found - expected))
    if difference == 0:
        return 0.0
    error = difference / max(float(torch.linalg.vector_norm(expected)), torch.finfo(exact).tiny)
    return error if error == error else float("inf")


def _same_rows(before: Tensor, after: Tensor, tolerance: float) -> bool:
    """Whether two tensors hold the same vectors along the last axis, in any order: windows of tokens, for example."""
    if before.shape != after.shape or before.ndim < 3 or before.shape[-1] < 2:
        return False
    exact = at_least_float32(before.dtype)
    probe = torch.linspace(0.7, 1.9, before.shape[-1], dtype=exact, device=before.device).sin()
    one, other = ((x.detach().to(exact) @ probe).flatten().sort().values for x in (before, after))
    return relative_error(one, other) <= tolerance


def _lost_its_square(after: Tensor, states: list[State]) -> bool:
    """Whether a square plane is none any more: one axis was worked on, and the other may be next."""
    if after.ndim < 4 or after.shape[-2] == after.shape[-1]:
        return False
    return any(one.planes == after.ndim - 2 for state in states for one in state.fields[:1]) or any(
        not state.fields for state in states
    )


def _exchanged(value: Any, corrected: dict[int, Tensor]) -> Any:
    """An output with other tensors in it."""
    if isinstance(value, Tensor):
        return corrected.get(id(value), value)
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(*(_exchanged(one, corrected) for one in value))
    if isinstance(value, tuple | list):
        return type(value)(_exchanged(one, corrected) for one in value)
    if isinstance(value, dict):
        return type(value)({key: _exchanged(one, corrected) for key, one in value.items()})
    return value
