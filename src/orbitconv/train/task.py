"""What a network learns: loss, errors, labels under augmentation, and predictions from scores."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, final

import torch.nn.functional as F
from jaxtyping import Float, Int64
from torch import Tensor

from orbitconv.metrics.confusion import class_figures, confusion
from orbitconv.train.augmentation import Draws, augment
from orbitconv.train.settings import Augmentation


class Task(ABC):
    """What is learned from images and labels.

    A further task is one subclass, and one entry in `orbitconv.train.tasks.TASKS`.

    Losses are means over images, so that those of the processes that share a batch add up to that of the batch.
    """

    name: ClassVar[str]

    @abstractmethod
    def loss(self, scores: Float[Tensor, "b k *hw"], labels: Tensor) -> Float[Tensor, ""]:
        """The loss of the output of the network and what it should say: a mean over the images."""

    @abstractmethod
    def wrong(self, scores: Float[Tensor, "b k *hw"], labels: Tensor) -> Tensor:
        """Summed error of a batch, for the line of an epoch: over images, of numbers from 0 to 1."""

    @abstractmethod
    def counts(self, scores: Float[Tensor, "b k *hw"], labels: Tensor) -> Int64[Tensor, "..."]:
        """Counts from which `figures` come; those of several batches and processes are added.

        Their shape depends on the number of classes alone.
        """

    @abstractmethod
    def figures(self, counts: Int64[Tensor, "..."]) -> dict[str, float]:
        """Figures of a test by name, from the sum of counts, for the line of an epoch.

        `error_percent` comes first: the one that the best weights are chosen by.
        """

    @abstractmethod
    def details(self, counts: Int64[Tensor, "..."]) -> dict[str, float | list[float] | list[list[int]]]:
        """All figures from the sum of counts by name, also lists of one number for each class."""

    @abstractmethod
    def probabilities(self, scores: Float[Tensor, "b k *hw"]) -> Float[Tensor, "b k *hw"]:
        """Class probabilities from scores, from 0 to 1."""

    def answer(self, scores: Float[Tensor, "b k *hw"]) -> Tensor:
        """What the network says, as a label: the class of the highest score."""
        return scores.argmax(1)

    def augment(
        self, images: Float[Tensor, "b c h w"], labels: Tensor, config: Augmentation, draws: Draws
    ) -> tuple[Float[Tensor, "b c h w"], Tensor]:
        """Augment images as drawn with some settings, and labels with them."""
        return augment(images, config, draws), labels


@final
@dataclass(frozen=True)
class Classification(Task):
    """One class for each image: cross-entropy.

    Args:
        label_smoothing: Share of each label that is spread evenly over all classes.
        class_weights: What an image of each class counts in the loss; None for 1.
    """

    name = "classification"
    label_smoothing: float = 0.0
    class_weights: tuple[float, ...] | None = None

    def loss(self, scores: Float[Tensor, "b k"], labels: Int64[Tensor, " b"]) -> Float[Tensor, ""]:
        """Cross-entropy, with smoothed labels and weights."""
        if self.class_weights is None:
            return F.cross_entropy(scores, labels, label_smoothing=self.label_smoothing)
        weights = scores.new_tensor(self.class_weights)
        loss = F.cross_entropy(scores, labels, weights, label_smoothing=self.label_smoothing, reduction="sum")
        return loss / len(labels)

    def wrong(self, scores: Float[Tensor, "b k"], labels: Int64[Tensor, " b"]) -> Int64[Tensor, ""]:
        """Number of misclassified images."""
        return (scores.argmax(1) != labels).sum()

    def counts(self, scores: Float[Tensor, "b k"], labels: Int64[Tensor, " b"]) -> Int64[Tensor, "k k"]:
        """The confusion matrix: rows are true classes, columns those that the scores say."""
        return confusion(scores.argmax(1), labels, scores.shape[1])

    def figures(self, counts: Int64[Tensor, "k k"]) -> dict[str, float]:
        """The error."""
        total = int(counts.sum())
        return {"error_percent": 100 * (total - int(counts.trace())) / max(total, 1)}

    def details(self, counts: Int64[Tensor, "k k"]) -> dict[str, float | list[float] | list[list[int]]]:
        """Error, balanced accuracy, F1 of each class and the confusion matrix."""
        each = class_figures(counts)
        return {
            **self.figures(counts),
            "balanced_accuracy": float(each.recall.nanmean()),
            "mean_f1": float(each.dice.nanmean()),
            "f1": each.dice.tolist(),
            "recall": each.recall.tolist(),
            "confusion": counts.tolist(),
        }

    def probabilities(self, scores: Float[Tensor, "b k"]) -> Float[Tensor, "b k"]:
        """Softmax."""
        return scores.softmax(1)


@final
@dataclass(frozen=True)
class MultiLabel(Task):
    """Any number of classes for each image: binary cross-entropy of each class by itself.

    Args:
        class_weights: What each class counts in the loss; None for 1.
    """

    name = "multilabel"
    class_weights: tuple[float, ...] | None = None

    def loss(self, scores: Float[Tensor, "b k"], labels: Float[Tensor, "b k"]) -> Float[Tensor, ""]:
        """Mean over images and classes."""
        weights = None if self.class_weights is None else scores.new_tensor(self.class_weights)
        return F.binary_cross_entropy_with_logits(scores, labels.to(scores.dtype), weights)

    def wrong(self, scores: Float[Tensor, "b k"], labels: Float[Tensor, "b k"]) -> Float[Tensor, ""]:
        """Share of the classes that are wrong, summed over images."""
        return ((scores > 0) != (labels > 0.5)).double().mean(1).sum()

    def counts(self, scores: Float[Tensor, "b k"], labels: Float[Tensor, "b k"]) -> Int64[Tensor, "k 2 2"]:
        """For each class, images that have it not or have it, by what the scores say."""
        said, true = (scores > 0).long(), (labels > 0.5).long()
        return F.one_hot(2 * true + said, 4).sum(0).unflatten(1, (2, 2))

    def figures(self, counts: Int64[Tensor, "k 2 2"]) -> dict[str, float]:
        """Share of all labels that are wrong, and F1."""
        wrong = counts[:, 0, 1].sum() + counts[:, 1, 0].sum()
        f1 = class_f1(counts)
        return {"error_percent": 100 * int(wrong) / max(int(counts.sum()), 1), "mean_f1": float(f1.nanmean())}

    def details(self, counts: Int64[Tensor, "k 2 2"]) -> dict[str, float | list[float] | list[list[int]]]:
        """The same, and F1 of each class."""
        return {**self.figures(counts), "f1": class_f1(counts).tolist()}

    def answer(self, scores: Float[Tensor, "b k"]) -> Float[Tensor, "b k"]:
        """1 for each class whose probability is above one half, 0 for the others."""
        return (scores > 0).to(scores.dtype)

    def probabilities(self, scores: Float[Tensor, "b k"]) -> Float[Tensor, "b k"]:
        """Sigmoid."""
        return scores.sigmoid()


def class_f1(counts: Int64[Tensor, "k 2 2"]) -> Float[Tensor, " k"]:
    """F1 of classes that do not exclude each other; NaN where a class neither occurs nor is said."""
    hits, missed, false = (counts[:, i, j].double() for i, j in ((1, 1), (1, 0), (0, 1)))
    return 2 * hits / (2 * hits + missed + false)


def balanced_weights(frequencies: Sequence[int]) -> tuple[float, ...]:
    """Weights that let all classes count the same: one over how frequent each is, 1 on average over the labels.

    A class that does not occur has 0.
    """
    total, present = sum(frequencies), sum(n > 0 for n in frequencies)
    return tuple(total / (present * n) if n else 0.0 for n in frequencies)
