"""Figures of classes from counts: how often each was taken for which."""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int64
from torch import Tensor


@dataclass(frozen=True, eq=False)
class ClassFigures:
    """Figures of each class; NaN where there is nothing to divide by.

    Args:
        recall: Share of what is of the class that was found.
        iou: Intersection over union of what is of the class and what was said to be.
        dice: Dice coefficient of both, which is F1.
    """

    recall: Float[Tensor, " k"]
    iou: Float[Tensor, " k"]
    dice: Float[Tensor, " k"]


def confusion(said: Int64[Tensor, "*n"], true: Int64[Tensor, "*n"], num_classes: int) -> Int64[Tensor, "k k"]:
    """Count how often each class was taken for which.

    Args:
        said: Classes that were said.
        true: Classes that are right.
        num_classes: Number of classes.

    Returns:
        Counts: rows are right classes, columns those that were said.
    """
    pairs = (num_classes * true + said).flatten()
    return torch.bincount(pairs, minlength=num_classes**2).reshape(num_classes, num_classes)


def class_figures(counts: Int64[Tensor, "k k"]) -> ClassFigures:
    """Recall, IoU and Dice of each class.

    Args:
        counts: What `confusion` gives.

    Returns:
        The figures, in 64 bits.
    """
    hits = counts.diagonal().double()
    true, said = counts.sum(1).double(), counts.sum(0).double()
    return ClassFigures(recall=hits / true, iou=hits / (true + said - hits), dice=2 * hits / (true + said))
