"""Which classes a network takes for which, and the images it is most sure about and wrong."""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from orbitconv.data import ImageSet
from orbitconv.train import predict
from orbitconv.train.evaluation import class_scores
from orbitconv.train.examples import Pixels


@dataclass(frozen=True)
class Mistake:
    """An image that a network gets wrong.

    Args:
        index: Its place in the test set.
        true: Its class.
        predicted: The class that the network takes it for.
        confidence: The probability that the network gives that class, from 0 to 1.
    """

    index: int
    true: int
    predicted: int
    confidence: float


@dataclass(frozen=True, kw_only=True)
class Judgement:
    """How one network judges the test images.

    Args:
        confusion: Number of images of each class (rows) that are taken for each class (columns).
        confusion_turned: The same for the images turned at random; None if they are turned already.
        wrong: How many images as they are it gets wrong.
        mistakes: Those of them that it is most sure about, the surest first.
    """

    confusion: list[list[int]]
    confusion_turned: list[list[int]] | None
    wrong: int
    mistakes: list[Mistake]


def judge(network: nn.Module, images: ImageSet, turned: Pixels | None, count: int) -> Judgement:
    """Let a network judge test images.

    Args:
        network: Classifier, on the device of the images.
        images: Test images as they are.
        turned: The same images, each turned by its own angle, if that shall be judged too.
        count: How many mistakes to keep at most.

    Returns:
        Its judgement.
    """
    classes, labels = len(images.classes), images.labels
    confidence, predicted = class_probabilities(network, images.images).max(1)
    wrong = (predicted != labels).nonzero()[:, 0]
    surest = wrong[confidence[wrong].argsort(descending=True, stable=True)][:count]
    return Judgement(
        confusion=confusion(labels, predicted, classes),
        confusion_turned=None if turned is None else confusion(labels, predict(network, turned), classes),
        wrong=len(wrong),
        mistakes=[Mistake(i, int(labels[i]), int(predicted[i]), float(confidence[i])) for i in surest.tolist()],
    )


def class_probabilities(network: nn.Module, images: Pixels) -> Float[Tensor, "n k"]:
    """The probability that a network gives each class.

    Args:
        network: Classifier; it is put in eval mode.
        images: Images.

    Returns:
        Probabilities, by image and class.
    """
    return torch.cat([scores.softmax(1) for scores in class_scores(network, images)])


def confusion(labels: Int64[Tensor, " n"], predicted: Int64[Tensor, " n"], classes: int) -> list[list[int]]:
    """Count which classes are taken for which.

    Args:
        labels: Class of each image.
        predicted: What it is taken for.
        classes: Number of classes.

    Returns:
        Counts by true class, then by predicted class.
    """
    return torch.bincount(labels * classes + predicted, minlength=classes**2).reshape(classes, classes).tolist()
