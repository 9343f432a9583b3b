"""Curves of trainings, drawn from made-up numbers."""

import numpy as np
import pytest

pytest.importorskip("matplotlib")

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
