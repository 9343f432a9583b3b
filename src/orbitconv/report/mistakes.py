"""The confusion matrix of a network, and the wrong predictions that it is most confident about."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from orbitconv.data import ImageSet
from orbitconv.metrics.confusion import confusion
from orbitconv.train import predict
from orbitconv.train.evaluation import class_scores
from orbitconv.train.examples import Pixels


@dataclass(frozen=True)
class Mistake:
    """An image, by its place in the test set, that a network gets wrong with a confidence from 0 to 1."""

    index: int
    true: int
    predicted: int
    confidence: float


@dataclass(frozen=True, kw_only=True)
class Judgement:
    """Predictions of one network: confusion of true (rows) and predicted classes, and the surest wrong ones.

    `wrong` counts all of them. `confusion_turned` is that of images at random angles; None for a data set turned
    already.
    """

    confusion: list[list[int]]
    confusion_turned: list[list[int]] | None
    wrong: int
    mistakes: list[Mistake]


def judge(network: nn.Module, images: ImageSet, turned: Pixels | None, count: int) -> Judgement:
    """Predict test images, as they are and if given turned by random angles, and collect so many mistakes at most."""
    classes, labels = len(images.classes), images.labels
    confidence, predicted = class_probabilities(network, images.images).max(1)
    wrong = (predicted != labels).nonzero()[:, 0]
    surest = wrong[confidence[wrong].argsort(descending=True, stable=True)][:count]
    return Judgement(
        confusion=confusion(predicted, labels, classes).tolist(),
        confusion_turned=None if turned is None else confusion(predict(network, turned), labels, classes).tolist(),
        wrong=len(wrong),
        mistakes=[Mistake(i, int(labels[i]), int(predicted[i]), float(confidence[i])) for i in surest.tolist()],
    )


def class_probabilities(network: nn.Module, images: Pixels) -> Float[Tensor, "n k"]:
    """Class probabilities of images; the network is put in eval mode."""
    return torch.cat([scores.softmax(1) for scores in class_scores(network, images)])
