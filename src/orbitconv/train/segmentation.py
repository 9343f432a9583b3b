"""A class for every pixel."""

from dataclasses import dataclass
from typing import final

import torch.nn.functional as F
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from orbitconv.metrics.confusion import class_figures, confusion
from orbitconv.train.augmentation import Draws, augment, augment_masks
from orbitconv.train.settings import Augmentation
from orbitconv.train.task import Task


@final
@dataclass(frozen=True)
class Segmentation(Task):
    """A class for every pixel: cross-entropy plus Dice loss, both a mean over images.

    Args:
        ignore_index: Pixels of this label count nowhere. What comes in from outside when masks turn is of it too.
        class_weights: What a pixel of each class counts in the cross-entropy; None for 1.
        dice: Weight of the Dice loss.

    Source: Milletari et al. (2016), V-Net, for the Dice loss, here the mean over the classes of an image.
    """

    name = "segmentation"
    ignore_index: int = 255
    class_weights: tuple[float, ...] | None = None
    dice: float = 1.0

    def loss(self, scores: Float[Tensor, "b k h w"], labels: Int64[Tensor, "b h w"]) -> Float[Tensor, ""]:
        """Cross-entropy, the mean over the pixels of each image, plus Dice loss."""
        weights = None if self.class_weights is None else scores.new_tensor(self.class_weights)
        valid = labels != self.ignore_index
        pixels = F.cross_entropy(scores, labels, weights, ignore_index=self.ignore_index, reduction="none")
        loss = (pixels.flatten(1).sum(1) / valid.flatten(1).sum(1).clamp(min=1)).mean()
        return loss + self.dice * self._dice_loss(scores, labels, valid) if self.dice else loss

    def _dice_loss(
        self, scores: Float[Tensor, "b k h w"], labels: Int64[Tensor, "b h w"], valid: Bool[Tensor, "b h w"]
    ) -> Float[Tensor, ""]:
        """1 - 2 sum p t / (sum p + sum t) for each image and class, with 1 added above and below the line."""
        said = scores.softmax(1) * valid[:, None]
        true = F.one_hot(labels.where(valid, 0), scores.shape[1]).movedim(-1, 1) * valid[:, None]
        both, sizes = (said * true).flatten(2).sum(2), (said + true).flatten(2).sum(2)
        return 1 - ((2 * both + 1) / (sizes + 1)).mean()

    def wrong(self, scores: Float[Tensor, "b k h w"], labels: Int64[Tensor, "b h w"]) -> Float[Tensor, ""]:
        """Share of the pixels that are wrong, summed over images."""
        valid = labels != self.ignore_index
        wrong = ((scores.argmax(1) != labels) & valid).flatten(1).sum(1)
        return (wrong.double() / valid.flatten(1).sum(1).clamp(min=1)).sum()

    def counts(self, scores: Float[Tensor, "b k h w"], labels: Int64[Tensor, "b h w"]) -> Int64[Tensor, "k k"]:
        """The confusion matrix of pixels."""
        valid = labels != self.ignore_index
        return confusion(scores.argmax(1)[valid], labels[valid], scores.shape[1])

    def figures(self, counts: Int64[Tensor, "k k"]) -> dict[str, float]:
        """1 less mean IoU as the error, mean IoU and mean Dice: over the pixels of all images."""
        each = class_figures(counts)
        iou = float(each.iou.nanmean())
        return {"error_percent": 100 * (1 - iou), "mean_iou": iou, "mean_dice": float(each.dice.nanmean())}

    def details(self, counts: Int64[Tensor, "k k"]) -> dict[str, float | list[float] | list[list[int]]]:
        """The same, IoU and Dice of each class, share of wrong pixels and the confusion matrix."""
        each, total = class_figures(counts), int(counts.sum())
        return {
            **self.figures(counts),
            "pixel_error_percent": 100 * (total - int(counts.trace())) / max(total, 1),
            "iou": each.iou.tolist(),
            "dice": each.dice.tolist(),
            "confusion": counts.tolist(),
        }

    def probabilities(self, scores: Float[Tensor, "b k h w"]) -> Float[Tensor, "b k h w"]:
        """Softmax."""
        return scores.softmax(1)

    def augment(
        self, images: Float[Tensor, "b c h w"], labels: Int64[Tensor, "b h w"], config: Augmentation, draws: Draws
    ) -> tuple[Float[Tensor, "b c h w"], Int64[Tensor, "b h w"]]:
        """Masks are augmented with their images; every pixel remains one label."""
        return augment(images, config, draws), augment_masks(labels, config, draws, self.ignore_index)
