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
from orbitconv.groups import Cyclic
from orbitconv.metrics.diagnosis.arguments import images_in, with_images
from orbitconv.metrics.diagnosis.fields import possible_fields
from orbitconv.metrics.diagnosis.following import relative_error
from orbitconv.models.tracing import Tracer

_AROUND = range(-2, 3)
_QUARTERS, _TOLERANCE = Cyclic(4), 1e-6
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
    ghost, symmetric = _Sizes(plain, example, quarter=quarter), _symmetric(plain)
    kept = [side for side in tried if ghost.keep_turns(side)]
    if _turns(symmetric, example, min(sides), quarter=quarter) is None:  # not to be measured
        return tuple(kept), tried
    return tuple(side for side in kept if side in sides or _turns(symmetric, example, side, quarter=quarter)), tried


def small_exact_size(plain: nn.Module, example: Example, *, quarter: bool = True) -> int | None:
    """A small side of square images, up to that of the example, at which a plain network keeps turns; or None."""
    sides = {x.shape[2] for x in tensors_in(as_arguments(example)) if is_image(x)}
    if len(sides) != 1:
        return None
    side, ghost = max(sides), _Sizes(plain, example, quarter=quarter)
    tried = sorted({side, *(one for one in _SMALL if one < side)})
    return next((one for one in tried if ghost.keep_turns(one)), None)


def _symmetric(plain: nn.Module) -> nn.Module:
    """The network with filters that are their own turns: its output turns exactly if its operations keep the turn."""
    trial = copy.deepcopy(plain).double().eval()
    for module in trial.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            filters, (height, width) = module.weight.data, module.weight.shape[-2:]
            if height == width:
                module.weight.data = torch.stack([filters.rot90(k, (2, 3)) for k in range(4)]).mean(0)
            else:  # the middle alone, for kernels of one row or column
                kept = torch.zeros_like(filters)
                kept[..., (height - 1) // 2 : height // 2 + 1, (width - 1) // 2 : width // 2 + 1] = 1
                module.weight.data = filters.mean((2, 3), keepdim=True) * kept
    return trial


@torch.no_grad()
def _turns(network: nn.Module, example: Example, side: int, *, quarter: bool) -> bool | None:
    """Whether the outputs of a network of symmetric filters turn with noise; None where it does not run."""
    draw, steps = torch.Generator().manual_seed(0), 1 if quarter else 2

    def outputs(turns: int) -> list[Tensor]:
        positional, named = as_arguments(with_images(example, lambda x: images[x.shape[1]].rot90(turns, (2, 3))))
        return list(tensors_in(network(*positional, **named)))

    images = {
        x.shape[1]: torch.randn(len(x), x.shape[1], side, side, generator=draw, dtype=torch.float64)
        for x in images_in(example)
    }
    try:
        before, after = outputs(0), outputs(steps)
    except Exception:  # forwards of others that fix the dtype or look at numbers
        return None
    fields = [list(possible_fields(tuple(x.shape), _QUARTERS, square=True)) for x in before]
    return all(
        min(relative_error(y, way.turn(x, _QUARTERS, steps)) for way in ways if way.kind == "none") < _TOLERANCE
        for x, y, ways in zip(before, after, fields, strict=True)
    )


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
