"""Figures of the study of MLP, learned translations and CNN."""

import numpy as np
import pytest

pytest.importorskip("matplotlib")

from studies.mlp_to_cnn.pictures import filters_and_orbit, in_plain_order, translation_matrices

SIDE = 12
ORDER = np.random.default_rng(0).permutation(SIDE * SIDE)
SHIFTS = np.stack(
    [np.roll(np.eye(SIDE * SIDE).reshape(-1, SIDE, SIDE), 1, 1 + axis).reshape(SIDE * SIDE, -1).T for axis in (0, 1)]
)


def row(part, family, test, error, **more):
    return {"part": part, "family": family, "test": test, "test_error_percent": error, "labels": 600, **more}


def words(figure):
    return " ".join(text.get_text() for axes in figure.axes for text in [*axes.texts, *axes.get_xticklabels()])


def test_the_orbit_of_a_filter_moves_it_as_a_whole_and_scatters_it_for_the_network():
    filters = np.zeros((2, SIDE, SIDE))
    filters[:, :5, :5] = np.random.default_rng(2).normal(size=(2, 5, 5))
    vectors = filters.reshape(2, -1)[:, ORDER]
    figure = filters_and_orbit(vectors, SHIFTS[:, ORDER][:, :, ORDER], ORDER)
    pictures = [np.asarray(axes.images[0].get_array()) for axes in figure.axes[2:]]
    first, second = pictures[0], pictures[2]
    assert first[4:9, 4:9].all()  # in the middle
    assert np.array_equal(np.roll(first, 6, 1), second)
    assert np.array_equal(in_plain_order(pictures[1].ravel(), ORDER), first)


def test_matrices_are_compared_with_the_true_shift_in_plain_order():
    right = SHIFTS[1]
    figure = translation_matrices(
        {"plain": right, "permuted": right[np.ix_(ORDER, ORDER)]}, {"plain": np.arange(SIDE**2), "permuted": ORDER}
    )
    restored, difference = (np.asarray(figure.axes[i].images[0].get_array()) for i in (2, 3))
    assert np.array_equal(restored, right[: 3 * SIDE, : 3 * SIDE])
    assert (difference == -17).all()
