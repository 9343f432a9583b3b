"""Objects that were found, against those that are there."""

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor

THRESHOLDS = (0.5, 0.6, 0.7, 0.8, 0.9)


def match_objects(
    said: Int64[Tensor, "h w"], true: Int64[Tensor, "h w"], thresholds: Sequence[float] = THRESHOLDS
) -> Int64[Tensor, "t 3"]:
    """Count objects that were found, that were seen where none is, and that were missed.

    An object is found if one that was seen has an intersection over union with it above the threshold; from 0.5 on, no
    two can.

    Args:
        said: Number of the object that every pixel was said to belong to; 0 for none.
        true: Number of the object that it belongs to.
        thresholds: From 0.5 to below 1.

    Returns:
        For each threshold, found, false and missed objects. Counts of several images are added.

    Raises:
        ValueError: If shapes differ or a threshold is out of range.
    """
    if said.shape != true.shape:
        raise ValueError(f"match_objects expects masks of one shape, got {tuple(said.shape)} and {tuple(true.shape)}.")
    if not all(0.5 <= threshold < 1 for threshold in thresholds):
        raise ValueError(f"match_objects expects thresholds from 0.5 to below 1, got {tuple(thresholds)}.")
    s, t = (_numbered(one) for one in (said, true))
    shared = np.zeros((s.max() + 1, t.max() + 1), dtype=np.int64)
    np.add.at(shared, (s, t), 1)
    sizes_said, sizes_true = shared.sum(1)[1:], shared.sum(0)[1:]
    shared = shared[1:, 1:]
    iou = shared / np.maximum(sizes_said[:, None] + sizes_true[None, :] - shared, 1)
    found = [int((iou > threshold).any(0).sum()) if iou.size else 0 for threshold in thresholds]
    return torch.tensor([[n, len(sizes_said) - n, len(sizes_true) - n] for n in found])


def object_f1(counts: Int64[Tensor, "t 3"]) -> Float[Tensor, " t"]:
    """F1 of objects.

    Args:
        counts: Sum of what `match_objects` gave.

    Returns:
        F1 for each threshold; NaN where there is no object at all.
    """
    found, false, missed = counts.double().unbind(1)
    return 2 * found / (2 * found + false + missed)


def _numbered(objects: Int64[Tensor, "h w"]) -> np.ndarray:
    """Objects by consecutive numbers from 1, 0 staying 0."""
    values = np.concatenate([[0], objects.numpy().ravel()])
    return np.unique(values, return_inverse=True)[1][1:]
