"""Probabilities and their logarithms are told from other outputs."""

import pytest
import torch

from orbitconv.conversion.normalized import normalization

SCORES = torch.randn(4, 3, 5, 5, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(("x", "axis", "expected"), [
    (SCORES.softmax(1), 1, "probabilities"),
    (SCORES.softmax(3), -1, "probabilities"),
    (SCORES.softmax(1), 2, None),
    (SCORES.log_softmax(1), 1, "logarithms of probabilities"),
    (SCORES / SCORES.norm(dim=1, keepdim=True), 1, None),
    (SCORES, 1, None),
    (SCORES.sigmoid(), 1, None),
    (SCORES[:, :1].softmax(1), 1, None),
    (torch.full((2, 2), 0.5), 1, None),
    (torch.zeros(0, 3), 1, None),
])  # fmt: skip
def test_what_channels_are_together(x, axis, expected):
    assert normalization(x, axis) == expected
