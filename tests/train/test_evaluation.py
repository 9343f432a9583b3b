"""Errors, counted."""

import torch
from torch import nn

from orbitconv.train import error_percent, predict
from orbitconv.train.evaluation import class_scores


def test_error_percent_counts_wrong_classes():
    network = nn.Flatten()  # the class is the brightest pixel
    images = torch.eye(4).reshape(4, 1, 2, 2)
    assert predict(network, images).tolist() == [0, 1, 2, 3]
    assert error_percent(network, images, torch.tensor([0, 1, 3, 2])) == 50
    batches = [scores.argmax(1).tolist() for scores in class_scores(network, images, batch_size=3)]
    assert batches == [[0, 1, 2], [3]]
