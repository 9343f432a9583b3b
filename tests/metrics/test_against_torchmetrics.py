"""Figures of classes, masks and several labels, against torchmetrics."""

import pytest
import torch

from orbitconv.train import Classification, MultiLabel, Segmentation

torchmetrics = pytest.importorskip("torchmetrics.classification")

CLASSES = 4


def close(found, expected):
    torch.testing.assert_close(torch.as_tensor(found, dtype=torch.float64), expected.double(), rtol=0, atol=1e-6)


def in_two_batches(task, scores, labels):
    return task.details(sum(task.counts(*part) for part in zip(scores.split(60), labels.split(60), strict=True)))


def test_classes():
    generator = torch.Generator().manual_seed(0)
    scores = torch.randn(100, CLASSES, generator=generator)
    labels = torch.multinomial(torch.tensor([0.7, 0.2, 0.06, 0.04]), 100, replacement=True, generator=generator)
    found = in_two_batches(Classification(), scores, labels)
    close(found["balanced_accuracy"], torchmetrics.MulticlassAccuracy(CLASSES, average="macro")(scores, labels))
    close(found["f1"], torchmetrics.MulticlassF1Score(CLASSES, average=None)(scores, labels))
    close(found["mean_f1"], torchmetrics.MulticlassF1Score(CLASSES, average="macro")(scores, labels))
    close(found["recall"], torchmetrics.MulticlassRecall(CLASSES, average=None)(scores, labels))
    close(found["confusion"], torchmetrics.MulticlassConfusionMatrix(CLASSES)(scores, labels))
    close(1 - found["error_percent"] / 100, torchmetrics.MulticlassAccuracy(CLASSES, average="micro")(scores, labels))


def test_masks_with_ignored_pixels():
    generator = torch.Generator().manual_seed(1)
    scores = torch.randn(100, CLASSES, 9, 7, generator=generator)
    labels = torch.randint(CLASSES, (100, 9, 7), generator=generator)
    labels[torch.rand(labels.shape, generator=generator) < 0.2] = 255
    found = in_two_batches(Segmentation(), scores, labels)
    given = {"num_classes": CLASSES, "ignore_index": 255}
    close(found["iou"], torchmetrics.MulticlassJaccardIndex(average=None, **given)(scores, labels))
    close(found["mean_iou"], torchmetrics.MulticlassJaccardIndex(average="macro", **given)(scores, labels))
    close(found["dice"], torchmetrics.MulticlassF1Score(average=None, **given)(scores, labels))
    close(found["mean_dice"], torchmetrics.MulticlassF1Score(average="macro", **given)(scores, labels))
    close(found["confusion"], torchmetrics.MulticlassConfusionMatrix(**given)(scores, labels))


def test_several_labels():
    generator = torch.Generator().manual_seed(2)
    scores = torch.randn(100, CLASSES, generator=generator)
    labels = (torch.rand(100, CLASSES, generator=generator) < 0.3).float()
    found = in_two_batches(MultiLabel(), scores, labels)
    close(found["f1"], torchmetrics.MultilabelF1Score(CLASSES, average=None)(scores.sigmoid(), labels.long()))
    close(found["mean_f1"], torchmetrics.MultilabelF1Score(CLASSES, average="macro")(scores.sigmoid(), labels.long()))
    close(
        found["error_percent"] / 100, torchmetrics.MultilabelHammingDistance(CLASSES)(scores.sigmoid(), labels.long())
    )
