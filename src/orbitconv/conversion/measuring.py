"""What a report says in numbers: multiply-adds, and the sizes at which no quarter turn is lost."""

import copy
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from orbitconv.conversion.exchange import find_losses
from orbitconv.conversion.grid import Loss
from orbitconv.conversion.observation import Example, FailedRunError, as_arguments, tensors_in
from orbitconv.conversion.refusals import is_image
from orbitconv.models.tracing import Tracer

_AROUND = range(-2, 3)
_SMALL = (48, 64, 96)


def multiply_adds_of(network: nn.Module, example: Example) -> int | None:
    """Products of features with weights for an example, on the meta device; None if the network does not run there."""
    ghost = copy.deepcopy(network).to("meta").eval()
    positional, named = as_arguments(_on_meta(example))
    images = [x for x in tensors_in((positional, named)) if x.is_floating_point()]
    if not images:
        return None
    tracer = Tracer(images[0])
    try:
        with torch.no_grad(), tracer:
            ghost(*positional, **named)
    except Exception:  # forwards that look at numbers
        return None
    return tracer.multiply_adds


def exact_sizes(plain: nn.Module, example: Example, *, quarter: bool = True) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Sides of square images, about that of the example, at which a plain network keeps quarter (or half) turns.

    Also returns the sides that were tried; none if the example holds no square images.
    """
    sides = {x.shape[2] for x in tensors_in(as_arguments(example)) if is_image(x)}
    if len(sides) != 1:
        return (), ()
    tried = tuple(side + step for side in sides for step in _AROUND if side + step > 0)
    return tuple(filter(_Sizes(plain, example, quarter=quarter).keep_turns, tried)), tried


def small_exact_size(plain: nn.Module, example: Example, *, quarter: bool = True) -> int | None:
    """A small side of square images, up to that of the example, at which a plain network keeps turns; or None."""
    sides = {x.shape[2] for x in tensors_in(as_arguments(example)) if is_image(x)}
    if len(sides) != 1:
        return None
    side, ghost = max(sides), _Sizes(plain, example, quarter=quarter)
    tried = sorted({side, *(one for one in _SMALL if one < side)})
    return next((one for one in tried if ghost.keep_turns(one)), None)


class _Sizes:
    """A plain network on the meta device, for images of any size."""

    def __init__(self, plain: nn.Module, example: Example, *, quarter: bool) -> None:
        self.ghost, self.example, self.quarter = copy.deepcopy(plain).to("meta"), example, quarter
        self.usual = self._run(None)

    def keep_turns(self, side: int) -> bool:
        """Whether squares of this side keep turns, in outputs of the same kind: a plane may not become scores."""
        found = self._run(side)
        return found is not None and not found[0] and (self.usual is None or found[1] == self.usual[1])

    def _run(self, side: int | None) -> tuple[list[Loss], list[tuple[int, ...]]] | None:
        """Losses, and the shapes of the outputs that are no planes; None where the network does not take the size."""
        try:
            losses, seen = find_losses(self.ghost, _on_meta(self.example, side), quarter=self.quarter)
        except FailedRunError:
            return None
        return losses, [tuple(x.shape) for x in tensors_in(seen.output) if x.ndim != 4]


def _on_meta(example: Any, side: int | None = None) -> Any:
    """An example without numbers, its images of another side."""
    if isinstance(example, Tensor):
        shape = (*example.shape[:2], side, side) if side is not None and is_image(example) else example.shape
        return torch.empty(shape, dtype=example.dtype, device="meta")
    if isinstance(example, Mapping):
        return {key: _on_meta(value, side) for key, value in example.items()}
    if isinstance(example, tuple | list):
        return tuple(_on_meta(value, side) for value in example)
    return example
