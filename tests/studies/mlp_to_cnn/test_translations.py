"""Pairs of shifted digits, and what is learned from them."""

import pytest
import torch

from digits import SIDE, small_digits
from orbitconv.learn import match_features
from studies.mlp_to_cnn.translations import AXES, distance, draw_pairs, learn_translations, order_for, shift_matrix

PIXELS = SIDE * SIDE


def pairs(fill, name="permuted", count=300):
    order = order_for(name, PIXELS)
    digits = small_digits(200)
    return [draw_pairs(digits, axis, fill, order, count, reach=3, seed=0) for axis in AXES]


@pytest.mark.parametrize("name", ["plain", "permuted"])
@pytest.mark.parametrize("fill", ["cyclic", "zero"])
def test_pairs_are_what_the_true_matrix_makes_of_them(fill, name):
    order = order_for(name, PIXELS)
    for axis, batches in zip(AXES, pairs(fill, name), strict=True):
        truth = shift_matrix(axis, fill, order, SIDE)
        for before, after in batches:
            torch.testing.assert_close(before.double() @ truth.T, after.double(), rtol=0, atol=0)
            lit = (before > 0).double().mean(0)
            assert float(lit.min()) > 0.05  # every pixel, now and then


@pytest.mark.parametrize("learner", [None, match_features])
@pytest.mark.parametrize("fill", ["cyclic", "zero"])
def test_both_ways_to_learn_find_the_shifts_in_random_order(fill, learner):
    learned = learn_translations(pairs(fill), (SIDE, SIDE), learner)
    order = order_for("permuted", PIXELS)
    assert learned.group is not None
    for axis, action in zip(AXES, learned.actions, strict=True):
        assert distance(action.matrix, shift_matrix(axis, fill, order, SIDE)) < 1e-6
        assert torch.equal(learned.group.generators[axis], shift_matrix(axis, "cyclic", order, SIDE))


def test_too_few_pairs_leave_no_group_unless_pixels_move_onto_pixels():
    assert learn_translations(pairs("cyclic", count=30), (SIDE, SIDE)).group is None
    assert learn_translations(pairs("cyclic", count=30), (SIDE, SIDE), match_features).group is not None
