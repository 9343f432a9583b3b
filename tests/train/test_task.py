"""What tasks say about scores and labels, against definitions that are written out."""

import math

import pytest
import torch
import torch.nn.functional as F

from orbitconv.metrics.confusion import class_figures, confusion
from orbitconv.metrics.objects import match_objects, object_f1
from orbitconv.train import Augmentation, Classification, MultiLabel, Segmentation
from orbitconv.train.augmentation import augment, draw
from orbitconv.train.task import balanced_weights
from orbitconv.train.tasks import task_from_json, task_to_json

TASKS = [Classification(0.1, (1.0, 2.0, 0.5)), MultiLabel((1.0, 2.0, 0.5)), Segmentation(9, (1.0, 2.0, 0.5), 0.7)]


def scores_and_labels(task, n=6):
    """Scores of three classes, and labels of the task; of masks some are ignored, all of one."""
    draws = torch.Generator().manual_seed(0)
    shape = (n, 3, 7, 5) if task.name == "segmentation" else (n, 3)
    scores = torch.randn(shape, dtype=torch.float64, generator=draws)
    if task.name == "multilabel":
        return scores, torch.randint(0, 2, (n, 3), generator=draws).float()
    labels = torch.randint(0, 3, (n, *shape[2:]), generator=draws)
    if task.name == "segmentation":
        labels[torch.rand(labels.shape, generator=draws) < 0.2] = 9
        labels[1] = 9
    return scores, labels


@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.name)
def test_shares_of_a_batch_add_up_to_the_batch(task):
    scores, labels = scores_and_labels(task)
    parts = [slice(0, 2), slice(2, 6)]
    loss = sum(task.loss(scores[one], labels[one]) * len(labels[one]) / len(labels) for one in parts)
    torch.testing.assert_close(loss, task.loss(scores, labels), rtol=1e-12, atol=0)
    assert torch.equal(sum(task.counts(scores[one], labels[one]) for one in parts), task.counts(scores, labels))
    assert float(sum(task.wrong(scores[one], labels[one]) for one in parts)) == pytest.approx(
        float(task.wrong(scores, labels)), rel=1e-12
    )


@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.name)
def test_a_file_holds_a_task(task):
    assert task_from_json(task_to_json(task)) == task


def test_an_unknown_task_is_refused_with_the_nearest_name():
    with pytest.raises(ValueError, match=r"no task named 'segmentatoin'\. Did you mean 'segmentation'"):
        task_from_json({"name": "segmentatoin"})


def test_plain_classification_is_cross_entropy():
    scores, labels = scores_and_labels(Classification())
    expected = F.cross_entropy(scores, labels, label_smoothing=0.1)
    assert torch.equal(Classification(0.1).loss(scores, labels), expected)


def test_segmentation_loss_is_its_formula_pixel_by_pixel():
    task = TASKS[2]
    scores, labels = scores_and_labels(task)
    total = 0.0
    for score, mask in zip(scores.tolist(), labels.tolist(), strict=True):
        entropy, pixels, both, sizes = 0.0, 0, [0.0] * 3, [0.0] * 3
        for i in range(7):
            for j in range(5):
                if mask[i][j] == 9:
                    continue
                chances = [math.exp(score[k][i][j]) for k in range(3)]
                chances = [one / sum(chances) for one in chances]
                entropy -= task.class_weights[mask[i][j]] * math.log(chances[mask[i][j]])
                pixels += 1
                for k in range(3):
                    both[k] += chances[k] * (mask[i][j] == k)
                    sizes[k] += chances[k] + (mask[i][j] == k)
        dice = sum((2 * b + 1) / (s + 1) for b, s in zip(both, sizes, strict=True)) / 3
        total += entropy / max(pixels, 1) + 0.7 * (1 - dice)
    assert float(task.loss(scores, labels)) == pytest.approx(total / len(labels), rel=1e-12)


def test_figures_of_classes_are_those_of_sets_of_pixels():
    task = Segmentation(ignore_index=9)
    scores, labels = scores_and_labels(task)
    found = task.details(task.counts(scores, labels))
    said, valid = scores.argmax(1), labels != 9
    for k in range(3):
        a, b = (said == k) & valid, (labels == k) & valid
        assert found["iou"][k] == pytest.approx(float((a & b).sum() / (a | b).sum()), rel=1e-6)
        assert found["dice"][k] == pytest.approx(float(2 * (a & b).sum() / (a.sum() + b.sum())), rel=1e-6)
    assert found["error_percent"] == pytest.approx(100 * (1 - sum(found["iou"]) / 3))


def test_a_class_that_neither_occurs_nor_is_said_does_not_count():
    counts = confusion(torch.tensor([0, 1]), torch.tensor([0, 1]), 3)
    assert class_figures(counts).iou[2].isnan()
    assert Segmentation().figures(counts)["mean_iou"] == 1


@pytest.mark.parametrize("flip", [False, True])
def test_masks_turn_and_mirror_with_their_pictures_exactly_at_quarter_turns(flip):
    draws_of = torch.Generator().manual_seed(1)
    masks = torch.randint(0, 7, (40, 9, 9), generator=draws_of)
    config = Augmentation(rotation="quarters", flip=flip, crop=2)
    draws = draw(config, 40, draws_of)
    images, turned = Segmentation(ignore_index=255).augment(masks[:, None].double() + 1, masks, config, draws)
    expected = images[:, 0].long() - 1
    expected[expected == -1] = 255  # what came in from outside
    assert torch.equal(turned, expected)
    assert len(draws.quarters.unique()) == 4


def test_masks_are_bent_and_turned_as_their_pictures_to_half_a_pixel():
    y, x = torch.meshgrid(torch.arange(33.0), torch.arange(33.0), indexing="ij")
    config = Augmentation(rotation="circle", elastic=1.0)
    draws = draw(config, 8, torch.Generator().manual_seed(2))
    for ramp in (x, y):
        planes = torch.stack([ramp, torch.ones_like(ramp)]).expand(8, 2, 33, 33).contiguous()
        pictures, whole = augment(planes, config, draws).unbind(1)
        masks = Segmentation(ignore_index=255).augment(
            torch.zeros(8, 1, 33, 33), ramp.long().expand(8, 33, 33).contiguous(), config, draws
        )[1]
        inside = whole > 1 - 1e-5
        assert inside.float().mean() > 0.5
        assert float((masks - pictures).abs()[inside].max()) <= 0.5 + 1e-3


def test_objects_are_those_of_a_loop_over_all_pairs():
    draws = torch.Generator().manual_seed(3)
    true = torch.randint(0, 5, (6, 6), generator=draws).repeat_interleave(4, 0).repeat_interleave(4, 1)
    said = true.roll(1, 0).where(torch.rand(24, 24, generator=draws) < 0.95, 0)
    counts = match_objects(said, true, (0.5, 0.8))
    for row, threshold in zip(counts.tolist(), (0.5, 0.8), strict=True):
        found = sum(
            float(((said == a) & (true == b)).sum() / ((said == a) | (true == b)).sum()) > threshold
            for a in said.unique() for b in true.unique() if a and b
        )  # fmt: skip
        n_said, n_true = (len(set(one.unique().tolist()) - {0}) for one in (said, true))
        assert row == [found, n_said - found, n_true - found]
    assert object_f1(match_objects(true, true)).tolist() == [1.0] * 5
    assert match_objects(torch.zeros_like(true), true)[0].tolist() == [0, 0, 4]


def test_balanced_weights_let_classes_count_the_same():
    weights = balanced_weights((10, 30, 0))
    assert weights[0] * 10 == pytest.approx(weights[1] * 30) == pytest.approx(20)
    assert weights[2] == 0
