"""Whether a module that nobody knows commutes with turns of its input: tried on random numbers."""

import copy
from collections.abc import Callable

import torch
from torch import Tensor, nn

from orbitconv.conversion.observation import Shape, tensors_in

_TOLERANCE = 1e-8


def keeps_turns(module: nn.Module, shapes: tuple[Shape | None, ...], *, channels_last: bool) -> bool:
    """Whether turns and mirrors of the input do the same to the output, and samples of a batch do not see each other.

    The module is tried as a copy in eval mode and float64, with other numbers in its parameters; its inputs, of shapes
    as in the plain network (None for what is no tensor), may be channels last. False also where it does not run on
    random numbers of these shapes.
    """
    if not shapes or any(shape is None for shape in shapes):
        return False
    trial, draw = _trial(module).double(), torch.Generator().manual_seed(0)
    with torch.no_grad():  # whatever training may make of them: filters and tables that begin at zero commute for now
        for values in trial.parameters():
            values.add_(torch.randn(values.shape, generator=draw, dtype=torch.float64).to(values) / 2)
    inputs = [torch.randn(2, *shape[1:], generator=draw, dtype=torch.float64) for shape in shapes if shape is not None]
    moves: list[Callable[[Tensor], Tensor]] = [lambda x: x.flip(0)]
    moves += [lambda x, k=k: _turn(x, k, channels_last=channels_last) for k in range(1, 4)]
    moves += [lambda x: _mirror(x, channels_last=channels_last)]
    try:
        with torch.no_grad():
            before = list(tensors_in(trial(*[x.clone() for x in inputs])))
            for move in moves:
                after = list(tensors_in(trial(*[move(x).clone() for x in inputs])))
                if not before or not all(_agree(a, move(b)) for a, b in zip(after, before, strict=True)):
                    return False
    except Exception:  # a forward of others may raise anything
        return False
    return True


def is_identity(module: nn.Module, shapes: tuple[Shape | None, ...]) -> bool:
    """Whether a module returns its input in eval mode, as those do that drop or disturb features while they train.

    False also where it does not run on random numbers.
    """
    if len(shapes) != 1 or shapes[0] is None:
        return False
    x = torch.randn(shapes[0], generator=torch.Generator().manual_seed(0))
    try:
        with torch.no_grad():
            y = _trial(module)(x.clone())
    except Exception:  # a forward of others may raise anything
        return False
    return isinstance(y, Tensor) and torch.equal(x, y)


def _trial(module: nn.Module) -> nn.Module:
    """A copy in eval mode, without the hooks of whoever watches the network."""
    trial = copy.deepcopy(module).eval()
    for one in trial.modules():
        one._forward_hooks.clear()  # noqa: SLF001
        one._forward_pre_hooks.clear()  # noqa: SLF001
    return trial


def _agree(a: Tensor, b: Tensor) -> bool:
    return a.shape == b.shape and bool((a - b).abs().max() <= _TOLERANCE * (1 + b.abs().max()))


def _turn(x: Tensor, quarters: int, *, channels_last: bool) -> Tensor:
    """Quarter turns of square planes; half turns of others; tokens in reverse order; rows of numbers do not turn."""
    if x.ndim == 4:
        axes = (1, 2) if channels_last else (2, 3)
        square = x.shape[axes[0]] == x.shape[axes[1]]
        return x.rot90(quarters if square else 2, axes)
    return x.flip(1) if x.ndim == 3 and quarters % 2 else x


def _mirror(x: Tensor, *, channels_last: bool) -> Tensor:
    return x.flip(2 if channels_last else 3) if x.ndim == 4 else x
