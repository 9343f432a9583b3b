"""Shifts of digits by one pixel: pairs of flattened images in any order of the pixels, and what is learned from these.

`learn_translations` sees nothing but pairs of vectors. The order of the pixels and the true shifts stay on this side.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int64
from torch import Tensor

from orbitconv.data import ImageSet
from orbitconv.learn import ClosedGroup, LearnedAction, PairMoments, close_group, fit_action, measure_pairs
from studies.actions.pixels import Fill, pick, pixel_order, shift

AXES = (0, 1)
"""The two generators: one pixel down, one pixel to the right."""

Learner = Callable[[PairMoments], LearnedAction]
"""Learns an action from the moments of its pairs."""

# Seed of the fixed random order of the pixels, the same for every network and every run.
_ORDER_SEED = 2019

# Pairs that are made at a time.
_CHUNK = 4096


def order_for(test: str, num_pixels: int) -> Int64[Tensor, " p"]:
    """The order of the pixels in one test."""
    return pixel_order(num_pixels, None if test == "plain" else _ORDER_SEED)


def reorder(images: Float[Tensor, "n c h w"], order: Int64[Tensor, " p"]) -> Float[Tensor, "n c h w"]:
    """Permute the pixels of images, row by row."""
    return images.flatten(2)[..., order].reshape(images.shape)


def shift_matrix(axis: int, fill: Fill, order: Int64[Tensor, " p"], side: int) -> Float[Tensor, "p p"]:
    """The true matrix of a shift for images flattened in some order, as reference for the learned one."""
    one_pixel = torch.eye(side * side, dtype=torch.float64).reshape(-1, side, side)
    return shift(one_pixel, axis, fill).flatten(1).T[order][:, order]


def draw_pairs(
    digits: ImageSet, axis: int, fill: Fill, order: Int64[Tensor, " p"], count: int, *, reach: int, seed: int
) -> Iterator[tuple[Float[Tensor, "n p"], Float[Tensor, "n p"]]]:
    """Draw pairs (f, T f) of flattened digits, T a shift by one pixel."""
    generator = torch.Generator().manual_seed(2 * seed + axis)
    side = digits.images.shape[-1]
    chosen = torch.randperm(len(digits), generator=generator)[torch.arange(count) % len(digits)]
    span = (0, side - 1) if fill == "cyclic" else (-reach, reach)
    steps = torch.randint(span[0], span[1] + 1, (count, 2), generator=generator)
    for index, by in zip(chosen.split(_CHUNK), steps.split(_CHUNK), strict=True):
        images = digits.images[index, 0].float() / 255
        margin = 0 if fill == "cyclic" else reach
        rows, columns = ((torch.arange(side) - by[:, k, None] + margin) % (side + 2 * margin) for k in (0, 1))
        before = pick(F.pad(images, (margin,) * 4)[:, None], rows, columns)[:, 0]
        yield before.flatten(1)[:, order], shift(before, axis, fill).flatten(1)[:, order]


@dataclass(frozen=True, eq=False)
class Translations:
    """The result of learning from pairs."""

    actions: tuple[LearnedAction, ...]
    group: ClosedGroup | None
    seconds: float


def learn_translations(
    pairs: Sequence[Iterable[tuple[Tensor, Tensor]]], orders: Sequence[int], learner: Learner | None = None
) -> Translations:
    """Learn commuting transformations from pairs of vectors, and close them to a group."""
    start = time.perf_counter()
    moments = [measure_pairs(batches) for batches in pairs]
    actions = tuple((learner or _fit_directions)(m) for m in moments)
    try:
        group = close_group(actions, orders)
    except ValueError:  # too few pairs: some directions are left open
        group = None
    return Translations(actions, group, time.perf_counter() - start)


def _fit_directions(moments: PairMoments) -> LearnedAction:
    """The best norm-preserving map, on as many directions as the pairs determine."""
    few = moments.num_pairs < moments.num_features
    return fit_action(moments, rank=moments.num_pairs if few else None)


def distance(found: Float[Tensor, "p p"], true: Float[Tensor, "p p"]) -> float:
    """Distance of a learned matrix from the true one."""
    return float((found - true).norm() / true.norm())
