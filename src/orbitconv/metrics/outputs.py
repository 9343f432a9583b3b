"""The tensors in the output of a network, and the ways in which a tensor can turn with the image."""

import dataclasses
import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Literal

import torch
from torch import Tensor, nn

from orbitconv.groups import Group, act_features, act_image
from orbitconv.hexagonal import act_hexagonal
from orbitconv.hexagonal.grid import grid_mask
from orbitconv.nn import BasisConv2d, BlurPool2d, GroupPool

Selector = str | int | Callable[[Any], Tensor]
"""What to compare of an output that is more than a tensor: a name, an index, or a function."""

Reading = Literal[
    "group", "planes", "channels last", "attention", "invariant", "group on hexagons", "hexagons"
]  # fmt: skip

# Layers whose type tells where their channels are.
_CHANNELS_FIRST = (
    nn.modules.conv._ConvNd,  # noqa: SLF001
    nn.modules.batchnorm._NormBase,  # noqa: SLF001
    nn.GroupNorm, nn.PixelShuffle, nn.PixelUnshuffle, nn.Upsample, nn.ZeroPad2d, nn.ReflectionPad2d, nn.MaxPool2d,
    nn.AvgPool2d, nn.AdaptiveMaxPool2d, nn.AdaptiveAvgPool2d, BasisConv2d, BlurPool2d, GroupPool,
)  # fmt: skip


def select(output: Any, selector: Selector | None, owner: str) -> dict[str, Tensor]:
    """Tensors of an output, or the one that a name, index or function picks, by their place in it.

    "" names an output that is one tensor, "[0]" and "[logits]" those inside tuples, lists, dictionaries and
    dataclasses.
    """
    if selector is None:
        return dict(_tensors(output))
    if callable(selector):
        chosen = selector(output)
    else:
        try:
            chosen = getattr(output, str(selector)) if _has(output, selector) else output[selector]
        except (LookupError, TypeError) as error:
            places = ", ".join(place for place, _ in _tensors(output)) or "none"
            raise ValueError(
                f"{owner} finds no output {selector!r} in {type(output).__name__}; its tensors are {places}."
            ) from error
    if not isinstance(chosen, Tensor):
        raise TypeError(f"{owner} expects output= to pick one tensor, got {type(chosen).__name__}.")
    return {"": chosen}


def _has(output: Any, selector: Any) -> bool:
    return isinstance(selector, str) and not isinstance(output, Mapping) and hasattr(output, selector)


def _tensors(output: Any, place: str = "") -> Iterator[tuple[str, Tensor]]:
    if isinstance(output, Tensor):
        yield place, output
    elif isinstance(output, Mapping):
        for key, value in output.items():
            yield from _tensors(value, f"{place}[{key}]")
    elif isinstance(output, tuple | list):
        for index, value in enumerate(output):
            yield from _tensors(value, f"{place}[{index}]")
    elif dataclasses.is_dataclass(output) and not isinstance(output, type):
        for one in dataclasses.fields(output):
            yield from _tensors(getattr(output, one.name), f"{place}[{one.name}]")


def readings(output: Tensor, group: Group, owner: nn.Module | None = None, *, hexagonal: bool = False) -> list[Reading]:
    """The ways in which a tensor of this shape may turn, the usual one first.

    Rank 5 is a group axis where its length fits, else planes with a depth before them; rank 4 is planes, or channels
    last, or attention between the places of a square grid; rank 2 does not turn.
    """
    if hexagonal and output.ndim in {4, 5} and min(output.shape[-2:]) > 1:
        return ["group on hexagons" if output.ndim == 5 else "hexagons"]
    if output.ndim == 5:
        if isinstance(owner, BasisConv2d):
            return ["group"]
        return ["group", "planes"] if output.shape[2] == group.order else ["planes"]
    if output.ndim == 4:
        if isinstance(owner, _CHANNELS_FIRST):
            return ["planes"]
        tokens = output.shape[-1]
        is_square = tokens == output.shape[-2] and tokens > 1 and math.isqrt(tokens) ** 2 == tokens
        return ["planes", "channels last", *(["attention"] if is_square else [])]  # pyright: ignore[reportReturnType]
    return ["invariant"] if output.ndim == 2 else []


def turn_output(output: Tensor, group: Group, g: int, reading: Reading, *, order: int = 3) -> Tensor:
    """Transform the output of a layer."""
    if reading == "group":
        return act_features(output, group, g, order=order, padding_mode="reflect")
    if reading == "planes":
        return act_image(output, group, g, order=order, padding_mode="reflect")
    if reading in {"group on hexagons", "hexagons"}:
        return act_hexagonal(output, group, g, features=reading == "group on hexagons")
    if reading == "channels last":
        planes = output.movedim(-1, 1)
        return act_image(planes, group, g, order=order, padding_mode="reflect").movedim(1, -1)
    if reading == "attention":
        side = math.isqrt(output.shape[-1])
        keys = output.unflatten(-1, (side, side))
        keys = act_image(keys, group, g, order=order, padding_mode="reflect").flatten(-2)
        queries = keys.mT.unflatten(-1, (side, side))
        return act_image(queries, group, g, order=order, padding_mode="reflect").flatten(-2).mT
    return output


def disc(output: Tensor, reading: Reading) -> Tensor:
    """One where every rotation keeps a place in view, zero elsewhere; it multiplies a tensor that is read so.

    It is the largest disc of a plane; small planes keep at least their middle.
    """
    if reading in {"group on hexagons", "hexagons"}:
        return grid_mask(output.shape[-1], "disc", output.device).to(output.dtype)
    if reading not in {"group", "planes", "channels last"}:
        return torch.ones((), dtype=output.dtype, device=output.device)
    height, width = output.shape[1:3] if reading == "channels last" else output.shape[-2:]
    rows = torch.arange(height, device=output.device) - (height - 1) / 2
    cols = torch.arange(width, device=output.device) - (width - 1) / 2
    mask = (torch.hypot(rows[:, None], cols) <= (min(height, width) - 1) / 2 + 0.5).to(output.dtype)
    return mask[..., None] if reading == "channels last" else mask
