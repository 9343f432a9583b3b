"""What the modules of a network are given in one run on an example: the calls, in order, with their shapes."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

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


@dataclass
class Observation:
    """One run of a network: calls in the order in which they ended, and what it returned."""

    calls: list[Call] = field(default_factory=list)
    output: Any = None

    def of(self, path: str) -> list[Call]:
        """The calls of one module."""
        return [call for call in self.calls if call.path == path]


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
    """Eval mode, or that of the layers alone, without gradients; each module goes back to the mode it was in."""
    modes = {module: module.training for module in model.modules()}
    for module in model.modules():
        module.training = branches and next(module.children(), None) is not None
    try:
        with torch.no_grad():
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
            if watch is not None:
                watch(path, module, inputs)

        def after(_module: nn.Module, inputs: Any, output: Any, path: str = path) -> None:
            inside.pop()
            shapes = tuple(shape_of(one) for one in inputs)
            seen.calls.append(Call(path, shapes, tuple(tuple(one.shape) for one in tensors_in(output))))

        handles += [module.register_forward_pre_hook(before), module.register_forward_hook(after)]
    positional, named = as_arguments(example)
    try:
        with _without_training(model, branches=training), mode(inside) if mode else nullcontext():
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
