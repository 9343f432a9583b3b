"""Curves of trainings, drawn from made-up numbers."""

import itertools

import numpy as np
import pytest

pytest.importorskip("matplotlib")

from orbitconv.figures.drawing import render
from studies.bases.learned_curves import LOSSES, draw_curves

LINES = {"nearest": 0.45, "bilinear": 0.33, "gaussian, sigma 0.3": 0.147, "unitary": 0.146}


def curve(settings="default", seed=0, errors=(1.0, 0.5, 0.2)):
    losses = [None, *(error / 10 for error in errors[1:])]
    steps = [50 * number for number in range(len(errors))]
    return {
        "settings": settings, "seed": seed, "step": steps, "held_out_error": list(errors),
        **dict.fromkeys(LOSSES, losses),
    }  # fmt: skip


def test_seeds_become_one_line_their_mean_and_a_band_that_holds_them():
    main, *others = draw_curves([curve(), curve(seed=1, errors=(3.0, 0.7, 0.4))], LINES).axes
    line = next(line for line in main.get_lines() if line.get_label() == "our settings")
    np.testing.assert_allclose(line.get_xydata(), [[0, 2], [50, 0.6], [100, 0.3]])
    (band,) = main.collections
    assert band.get_paths()[0].get_extents().extents == pytest.approx([0, 0.2, 100, 3.0])
    assert [axes.get_title(loc="left") for axes in others] == [f"{name} loss" for name in LOSSES]


def test_a_seed_that_stopped_early_shortens_the_line():
    main = draw_curves([curve(), curve(seed=1, errors=(3.0, 0.7))], LINES).axes[0]
    line = next(line for line in main.get_lines() if line.get_label() == "our settings")
    assert list(line.get_xdata()) == [0, 50]


def test_every_baseline_is_a_level_line_with_its_name_and_no_name_covers_another():
    figure = draw_curves([curve(), curve("paper")], LINES)
    figure.canvas.draw()  # lays out the texts
    main = figure.axes[0]
    levels = {line.get_ydata()[0] for line in main.get_lines() if len(set(line.get_ydata())) == 1}
    assert levels == set(LINES.values())
    assert [text.get_text() for text in main.texts] == sorted(LINES, key=lambda name: LINES[name])
    boxes = [text.get_window_extent() for text in main.texts]
    assert not any(a.overlaps(b) for a, b in itertools.combinations(boxes, 2))
    assert all(main.bbox.x1 < box.x0 and box.x1 < figure.axes[1].bbox.x0 for box in boxes)


@pytest.mark.parametrize("file_format", ["png", "svg"])
def test_the_same_curves_give_the_same_bytes(file_format):
    first, second = (render(draw_curves([curve(), curve("l2")], LINES), file_format) for _ in range(2))
    assert first == second
