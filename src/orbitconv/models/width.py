"""How wide a network is: fields of its stages, and the width that meets a budget."""

import functools
import itertools
import math
from bisect import bisect_left
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any, Literal

import torch
from torch import nn

from orbitconv._support.checks import check_positive
from orbitconv.models.counting import count_multiply_adds, count_parameters
from orbitconv.models.layers import Layers

Width = int | float | Literal["params", "compute"]
"""Fields of the first stage, or what shall be as large as in the plain twin: trainable parameters or multiply-adds.

A fraction makes sense too: the other stages are in proportion, and each is rounded by itself.
"""

# Widths are looked for up to so many times that of the plain twin: enough for a group of one with a ninth of the atoms.
_WIDEST = 4
# Trials that follow the usual growth of counts with width, before the search falls back on halving.
_GUESSES = 8


def stage_widths(profile: Sequence[int], width: int | float) -> tuple[int, ...]:
    """Fields of every stage of a network."""
    return tuple(max(1, round(share * width / profile[0])) for share in profile)


def distinct_widths(profile: Sequence[int], widest: int) -> list[int | float]:
    """Widths of the first stage, one for every outcome of `stage_widths`, in ascending order."""
    top = Fraction(2 * widest + 1, 2)
    changes = {
        change
        for share in set(profile)
        for fields in range(1, top * share // profile[0] + 1)
        if (change := Fraction(2 * fields + 1, 2) * profile[0] / share) <= top
    }
    edges = [Fraction(profile[0], 2 * max(profile)), *sorted(changes)]
    middles = [(a + b) / 2 for a, b in itertools.pairwise(edges)]
    return [int(width) if width.denominator == 1 else float(width) for width in middles]


def width_for(
    make: Callable[[Any], nn.Module],
    budget: int,
    count: Callable[[nn.Module], int] = count_parameters,
    widths: Sequence[int | float] = range(1, 2049),
) -> int | float:
    """The width that brings a network nearest to a budget.

    Args:
        make: Network of a width. It is called on the meta device, where networks cost no memory and hardly any time.
        budget: What the count shall come near to.
        count: What is counted; it must not fall when the width rises.
        widths: Widths to choose from, in ascending order.

    Returns:
        The width; the smaller of two that are equally near.
    """

    @functools.cache
    def size(width: int | float) -> int:
        with torch.device("meta"):
            return count(make(width))

    low, high = -1, len(widths)  # too small below and up to here; large enough from here on
    index, guesses = len(widths) // 2, _GUESSES
    while high - low > 1:
        here = size(widths[index])
        low, high = (index, high) if here < budget else (low, index)
        # Counts rise about with the square of the width, which finds most widths in four trials.
        guess = bisect_left(widths, widths[index] * math.sqrt(budget / max(here, 1)))
        index = min(max(guess, low + 1), high - 1) if guesses else (low + high) // 2
        guesses = max(guesses - 1, 0)
    return min(widths[max(low, 0) : high + 1], key=lambda width: abs(size(width) - budget))


def choose_width(
    layers: Layers,
    width: Width,
    plain_width: int,
    profile: Sequence[int],
    make: Callable[..., nn.Module],
    image: tuple[int, int, int],
) -> int | float:
    """The width of a network's first stage, as a number; that of the plain twin for a plain network.

    `make` is the network's class with all other options bound, called as `make(basis, kernel_size=, width=)`, where
    there is a basis with `mixing=` too. Multiply-adds are counted on an image of shape `image`.
    """
    check_positive(layers.owner, plain_width=plain_width)
    if not isinstance(width, str):
        if isinstance(width, bool) or not 0 < width < math.inf:
            raise ValueError(f"{layers.owner} expects a finite width > 0, 'params' or 'compute', got {width}.")
        return width
    counts: dict[str, Callable[[nn.Module], int]] = {
        "params": count_parameters,
        "compute": functools.partial(count_multiply_adds, input_shape=image),
    }
    if width not in counts:
        raise ValueError(f"{layers.owner} expects width as a number, 'params' or 'compute', got {width!r}.")
    bases = layers.bases.on_meta()
    if bases is None:
        return plain_width

    def candidate(fields: Any) -> nn.Module:
        return make(bases, kernel_size=layers.kernel_size, width=fields, mixing=layers.mixing)

    with torch.device("meta"):
        budget = counts[width](make(None, kernel_size=layers.bases.plain_kernel_size, width=plain_width))
    return width_for(candidate, budget, counts[width], distinct_widths(profile, _widest(layers) * plain_width))


def _widest(layers: Layers) -> int:
    """How many times as wide as the plain twin a network may become."""
    if layers.mixing == "dense":
        return _WIDEST
    # One number, or as many as the group has elements, takes the place of a plain kernel for each pair of fields.
    return max(_WIDEST, 1 + max(layers.kernel_size))
