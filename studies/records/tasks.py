"""Losses beyond labels: agreement with rotated copies, whose labels are not used, and with a teacher."""

from dataclasses import dataclass, field
from typing import Literal, final

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int64
from torch import Tensor, nn

from orbitconv.train import Classification, Task
from orbitconv.train.augmentation import Draws, augment
from orbitconv.train.settings import Augmentation


@dataclass(frozen=True)
class OnLabels(Task):
    """A classification whose figures are the usual ones."""

    labels: Classification = field(default_factory=Classification)

    def wrong(self, scores: Float[Tensor, "b k"], labels: Tensor) -> Int64[Tensor, ""]:
        """Number of misclassified images."""
        return self.labels.wrong(scores, labels)

    def counts(self, scores: Float[Tensor, "b k"], labels: Int64[Tensor, " b"]) -> Int64[Tensor, "k k"]:
        """The confusion matrix."""
        return self.labels.counts(scores, labels)

    def figures(self, counts: Int64[Tensor, "k k"]) -> dict[str, float]:
        """The error."""
        return self.labels.figures(counts)

    def details(self, counts: Int64[Tensor, "k k"]) -> dict[str, float | list[float] | list[list[int]]]:
        """All figures."""
        return self.labels.details(counts)

    def probabilities(self, scores: Float[Tensor, "b k"]) -> Float[Tensor, "b k"]:
        """Softmax."""
        return scores.softmax(1)


@final
@dataclass(frozen=True)
class TurnedCopies(OnLabels):
    """Labels for images as they are; what the network makes of a turned copy of each shall be the same.

    The augmentation of the training makes the copies only. They have no labels: `agree` compares class probabilities
    (their Kullback-Leibler divergence), or the features before the last layer (squared distance over squared norm).
    """

    name = "turned-copies"
    weight: float = 1.0
    agree: Literal["scores", "features"] = "scores"
    num_classes: int = 10

    def augment(
        self, images: Float[Tensor, "b c h w"], labels: Tensor, config: Augmentation, draws: Draws
    ) -> tuple[Float[Tensor, "b2 c h w"], Tensor]:
        """The images, followed by their copies."""
        return torch.cat([images, augment(images, config, draws)]), labels

    def loss(self, scores: Float[Tensor, "b2 k"], labels: Int64[Tensor, " b"]) -> Float[Tensor, ""]:
        """Cross-entropy of the images plus the disagreement of their copies."""
        upright, turned = scores.chunk(2)
        say, repeat = upright[:, : self.num_classes], turned[:, : self.num_classes]
        if self.agree == "scores":
            apart = F.kl_div(repeat.log_softmax(1), say.detach().softmax(1), reduction="batchmean")
        else:
            see, again = upright[:, self.num_classes :], turned[:, self.num_classes :]
            apart = (see - again).square().sum() / see.detach().square().sum().clamp(min=1e-12)
        return self.labels.loss(say, labels) + self.weight * apart

    def wrong(self, scores: Float[Tensor, "b2 k"], labels: Int64[Tensor, " b"]) -> Int64[Tensor, ""]:
        """Wrong answers on the images themselves."""
        return super().wrong(scores[: len(labels), : self.num_classes], labels)


@final
@dataclass(frozen=True)
class Distilled(OnLabels):
    """Augmented images; a share of each label is the answer of a trained network on the augmented image."""

    name = "distilled"
    teacher: nn.Module | None = None
    share: float = 0.5

    def augment(
        self, images: Float[Tensor, "b c h w"], labels: Tensor, config: Augmentation, draws: Draws
    ) -> tuple[Float[Tensor, "b c h w"], Tensor]:
        """Augmented images, and class probabilities as labels."""
        assert self.teacher is not None
        images = augment(images, config, draws)
        with torch.no_grad():
            said = self.teacher.eval()(images).softmax(1)
        return images, torch.lerp(F.one_hot(labels, said.shape[1]).to(said), said, self.share)

    def loss(self, scores: Float[Tensor, "b k"], labels: Float[Tensor, "b k"]) -> Float[Tensor, ""]:
        """Cross-entropy with these probabilities."""
        return F.cross_entropy(scores, labels)

    def wrong(self, scores: Float[Tensor, "b k"], labels: Float[Tensor, "b k"]) -> Int64[Tensor, ""]:
        """Number of images whose most probable class differs."""
        return super().wrong(scores, labels.argmax(1))
