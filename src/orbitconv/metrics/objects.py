"""Matching of predicted objects with true ones, and their F1."""

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor

THRESHOLDS = (0.5, 0.6, 0.7, 0.8, 0.9)


def match_objects(
    predicted: Int64[Tensor, "h w"], true: Int64[Tensor, "h w"], thresholds: Sequence[float] = THRESHOLDS
) -> Int64[Tensor, "t 3"]:
    """Count true positives, false positives and false negatives among objects, for each threshold.

    A true object is found if a predicted one has an intersection over union with it above the threshold, from 0.5 to
    below 1: no two predicted ones can. Masks hold the number of the object at each pixel, 0 for background. Counts of
    several images may be added up.
    """
    if predicted.shape != true.shape:
        raise ValueError(
            f"match_objects expects masks of one shape, got {tuple(predicted.shape)} and {tuple(true.shape)}."
        )
    if not all(0.5 <= threshold < 1 for threshold in thresholds):
        raise ValueError(f"match_objects expects thresholds from 0.5 to below 1, got {tuple(thresholds)}.")
    p, t = (_numbered(one) for one in (predicted, true))
    shared = np.zeros((p.max() + 1, t.max() + 1), dtype=np.int64)
    np.add.at(shared, (p, t), 1)
    sizes_predicted, sizes_true = shared.sum(1)[1:], shared.sum(0)[1:]
    shared = shared[1:, 1:]
    iou = shared / np.maximum(sizes_predicted[:, None] + sizes_true[None, :] - shared, 1)
    found = [int((iou > threshold).any(0).sum()) if iou.size else 0 for threshold in thresholds]
    return torch.tensor([[n, len(sizes_predicted) - n, len(sizes_true) - n] for n in found])


def object_f1(counts: Int64[Tensor, "t 3"]) -> Float[Tensor, " t"]:
    """F1 of objects for each threshold, from 0 to 1, in float64.

    NaN if there is neither a true nor a predicted object.
    """
    found, false, missed = counts.double().unbind(1)
    return 2 * found / (2 * found + false + missed)


def _numbered(objects: Int64[Tensor, "h w"]) -> np.ndarray:
    """Object numbers made consecutive from 1; 0 stays 0."""
    values = np.concatenate([[0], objects.numpy().ravel()])
    return np.unique(values, return_inverse=True)[1][1:]
