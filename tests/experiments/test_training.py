"""Training and its errors."""

import pytest
import torch
from torch import nn

from orbitconv.experiments.training import Training, error_percent, predict, train


def two_classes(n=128):
    labels = torch.arange(n) % 2
    images = torch.rand(n, 1, 4, 4) * 0.1 + labels[:, None, None, None]
    return images, labels


def classifier():
    return nn.Sequential(nn.Flatten(), nn.Linear(16, 2))


def test_training_separates_what_is_separable():
    images, labels = two_classes()
    network = classifier()
    train(network, images, labels, Training(epochs=5, batch_size=16, learning_rate=0.1), seed=0)
    assert error_percent(network, images, labels) == 0


def test_the_same_seeds_give_the_same_weights_bit_for_bit():
    images, labels = two_classes()
    weights = []
    for _ in range(2):
        torch.manual_seed(1)
        network = classifier()
        train(network, images, labels, Training(epochs=2, batch_size=16), seed=3)
        weights.append(network[1].weight.detach().clone())
    assert torch.equal(*weights)


def test_progress_counts_every_step():
    images, labels = two_classes(70)
    seen = []
    train(classifier(), images, labels, Training(epochs=2, batch_size=16), seed=0, progress=lambda *s: seen.append(s))
    assert seen == [("training", step, 8) for step in range(1, 9)]


def test_error_percent_counts_wrong_classes():
    network = nn.Flatten()  # the class is the brightest pixel
    images = torch.eye(4).reshape(4, 1, 2, 2)
    assert predict(network, images).tolist() == [0, 1, 2, 3]
    assert error_percent(network, images, torch.tensor([0, 1, 3, 2])) == 50


def test_a_loss_that_is_no_number_stops_and_names_the_step():
    images, labels = two_classes()
    with pytest.raises(FloatingPointError, match="step 8 of 16"):
        train(classifier(), images * torch.nan, labels, Training(epochs=2, batch_size=16), seed=0)


def test_fewer_images_than_a_batch_are_refused():
    images, labels = two_classes(8)
    with pytest.raises(ValueError, match=r"16 images, got 8"):
        train(classifier(), images, labels, Training(batch_size=16), seed=0)
