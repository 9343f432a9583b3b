"""What the modules of a network are given in one run on an example: the calls, in order, with their shapes."""

from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from orbitconv.nn.folding.known_values import as_arguments as as_arguments

Shape = tuple[int, ...]
Example = Tensor | tuple[Any, ...] | Mapping[str, Any]
"""What a network is called with: one tensor, positional arguments, or keyword arguments."""


@dataclass(frozen=True)
class Call:
    """One call of the module at a path: shapes of positional arguments (None for no tensor) and of returned tensors."""

    path: str
    inputs: tuple[Shape | None, ...]
    outputs: tuple[Shape, ...]


@dataclass(frozen=True)
class Event:
    """A call of a function of torch, or of a module, by a forward.

    Args:
        inside: Paths of the modules that are being called, outermost first; with that of the module itself.
        name: Name of the function; "" for a module.
        shapes: Shapes of the tensors that a function returned.
        groups: How long a part of each of their axes is the group, where that is known.
    """

    inside: tuple[str, ...]
    name: str = ""
    shapes: tuple[Shape, ...] = ()
    groups: tuple[Shape | None, ...] = ()


@dataclass
class Observation:
    """One run of a network.

    Args:
        calls: Calls in the order in which they ended.
        events: What forwards called, in the order in which functions ended and modules began.
        output: What the network returned.
    """

    calls: list[Call] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    output: Any = None

    def of(self, path: str) -> list[Call]:
        """The calls of one module."""
        return [call for call in self.calls if call.path == path]

    def seen_outside(self, hidden: Collection[str], known: Collection[str]) -> list[Event]:
        """The events that are not inside of hidden modules.

        Args:
            hidden: Paths of modules.
            known: Paths of all modules that count.
        """
        outer = [(event, event.inside if event.name else event.inside[:-1]) for event in self.events]
        return [
            e for e, parents in outer if not any(p in hidden for p in parents) and all(p in known for p in e.inside)
        ]


class _Functions(TorchFunctionMode):
    """Notes the functions of torch that forwards call, but those that ask for a property or a number."""

    def __init__(self, inside: list[str], events: list[Event], mode: Any) -> None:
        super().__init__()
        self.inside, self.events, self.mode = inside, events, mode

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        output = func(*args, **(kwargs or {}))
        name = getattr(func, "__name__", str(func))
        found = list(tensors_in(output))
        if name != "__get__" and (found or output is None):
            groups_of = getattr(self.mode, "groups_of", lambda _: None)
            shapes, groups = tuple(tuple(x.shape) for x in found), tuple(groups_of(x) for x in found)
            self.events.append(Event(tuple(self.inside), name, shapes, groups))
        return output


class FailedRunError(Exception):
    """A run that ended in an error, and the module that was innermost then."""

    def __init__(self, path: str, cause: Exception) -> None:
        super().__init__(f"{type(cause).__name__}: {str(cause).strip().partition(chr(10))[0]}")
        self.path, self.cause = path, cause


def shape_of(value: Any) -> Shape | None:
    """Shape of a tensor of numbers; None for anything else."""
    return tuple(value.shape) if isinstance(value, Tensor) and value.is_floating_point() else None


def tensors_in(value: Any) -> Iterator[Tensor]:
    """The tensors in an output: a tensor, or a tuple, list, mapping or dataclass of them."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, Mapping):
        for one in value.values():
            yield from tensors_in(one)
    elif isinstance(value, tuple | list):
        for one in value:
            yield from tensors_in(one)


@contextmanager
def _without_training(model: nn.Module, *, branches: bool) -> Iterator[None]:
    """Eval mode, or that of the layers alone, without gradients; each module goes back to the mode it was in.

    What training draws is drawn from one seed, so that forwards which drop branches at random do alike in every run.
    """
    modes = {module: module.training for module in model.modules()}
    for module in model.modules():
        module.training = branches and next(module.children(), None) is not None
    try:
        with torch.no_grad(), torch.random.fork_rng(devices=[], enabled=branches):
            if branches:
                torch.manual_seed(0)
            yield
    finally:
        for module, mode in modes.items():
            module.training = mode


def observe(
    model: nn.Module,
    example: Example,
    mode: Callable[[list[str]], AbstractContextManager[Any]] | None = None,
    watch: Callable[[str, nn.Module, tuple[Any, ...]], None] | None = None,
    *,
    training: bool = False,
) -> Observation:
    """Run a network once and note what every module is given.

    `mode` makes a context for the run from the paths of the modules that are being called, outermost first; `watch` is
    called before each module with its path, itself and its arguments. With `training`, forwards take the branches of
    training mode, such as auxiliary heads. Single layers are in eval mode always: statistics stay as they are, and
    nothing is dropped.

    Raises:
        FailedRunError: If the network refuses the example.
    """
    seen, inside = Observation(), list[str]()
    handles = []
    for path, module in model.named_modules():

        def before(module: nn.Module, inputs: Any, path: str = path) -> None:
            inside.append(path)
            seen.events.append(Event(tuple(inside)))
            if watch is not None:
                watch(path, module, inputs)

        def after(_module: nn.Module, inputs: Any, output: Any, path: str = path) -> None:
            inside.pop()
            shapes = tuple(shape_of(one) for one in inputs)
            seen.calls.append(Call(path, shapes, tuple(tuple(one.shape) for one in tensors_in(output))))

        handles += [module.register_forward_pre_hook(before), module.register_forward_hook(after)]
    positional, named = as_arguments(example)
    try:
        with (
            _without_training(model, branches=training),
            mode(inside) if mode else nullcontext() as followed,
            _Functions(inside, seen.events, followed),
        ):
            seen.output = model(*positional, **named)
    except Exception as error:  # a forward of others may raise anything
        raise FailedRunError(inside[-1] if inside else "", error) from error
    finally:
        for handle in handles:
            handle.remove()
    return seen


def observe_branches(
    model: nn.Module,
    example: Example,
    seen: Observation,
    watch: Callable[[str, nn.Module, tuple[Any, ...]], None] | None = None,
) -> Observation | None:
    """Run a network in training mode if layers are left that eval mode (`seen`) does not call: auxiliary heads.

    None where eval mode calls all layers, or the network does not train on the example alone.
    """
    called = {call.path for call in seen.calls}
    if all(path in called for path, module in model.named_modules() if any(True for _ in module.parameters(False))):
        return None
    try:
        found = observe(model, example, watch=watch, training=True)
    except FailedRunError:
        return None
    return found if {call.path for call in found.calls} - called else None


def replace_modules(model: nn.Module, replacements: Mapping[nn.Module, nn.Module]) -> nn.Module:
    """Put modules in place of others, wherever they are registered.

    Returns the network, or what stands in its place.
    """
    for parent in list(model.modules()):
        for name, child in parent._modules.items():  # noqa: SLF001
            if child is not None and child in replacements and replacements[child] is not parent:
                parent._modules[name] = replacements[child]  # noqa: SLF001
    return replacements.get(model, model)
