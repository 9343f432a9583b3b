"""Recall, IoU and Dice of classes, from a confusion matrix."""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int64
from torch import Tensor


@dataclass(frozen=True, eq=False)
class ClassFigures:
    """Figures of each class, from 0 to 1; NaN where the denominator is zero.

    Recall is the share of its members that are predicted as such; Dice equals F1.
    """

    recall: Float[Tensor, " k"]
    iou: Float[Tensor, " k"]
    dice: Float[Tensor, " k"]


def confusion(predicted: Int64[Tensor, "*n"], true: Int64[Tensor, "*n"], num_classes: int) -> Int64[Tensor, "k k"]:
    """Confusion matrix: how often each class is predicted as which."""
    pairs = (num_classes * true + predicted).flatten()
    return torch.bincount(pairs, minlength=num_classes**2).reshape(num_classes, num_classes)


def class_figures(counts: Int64[Tensor, "k k"]) -> ClassFigures:
    """Recall, IoU and Dice of each class, from a confusion matrix or the sum of several; in float64."""
    hits = counts.diagonal().double()
    true, predicted = counts.sum(1).double(), counts.sum(0).double()
    either = true + predicted
    return ClassFigures(recall=hits / true, iou=hits / (either - hits), dice=2 * hits / either)
