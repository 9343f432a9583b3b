"""Curves, names and drawings from made-up numbers."""

import sys

import numpy as np
import pytest

from orbitconv.figures import drawing as figures

pytest.importorskip("matplotlib")


def figure_of(*points):
    look = figures.Look("#000000")
    return figures.angle_figure([figures.Curve(points=at, look=look, name="plain CNN") for at in points])


def test_line_is_the_mean_over_seeds_closed_to_the_full_circle():
    axes = figure_of({0.0: [1.0, 3.0], 90.0: [50.0, 60.0]}).axes[0]
    line = next(line for line in axes.get_lines() if line.get_label() == "plain CNN")
    np.testing.assert_allclose(line.get_xydata(), [[0, 2], [90, 55], [360, 2]])
    assert len(axes.collections) == 1  # the band of the spread


@pytest.mark.parametrize(("file_format", "start"), [("png", b"\x89PNG"), ("svg", b"<?xml")])
def test_the_same_figure_gives_the_same_bytes(file_format, start):
    first, second = (figures.render(figure_of({0.0: [1.0]}), file_format) for _ in range(2))
    assert first.startswith(start)
    assert first == second


def test_no_text_leaves_the_film_or_touches_another():
    pictures = np.random.default_rng(0).random((8, 5, 5))
    strips = [
        figures.Strip("learned C8\nelement that follows", pictures, "#0057b8", 1.0),
        figures.Strip("the row above\nturned back", pictures, "#0057b8", 1.0, [0.25] * 8),
    ]
    figure = figures.film(strips, range(0, 360, 45))
    boxes = [text.get_window_extent() for text in figure.texts]
    assert all(b.x0 >= 0 and b.y0 >= 0 and b.x1 <= figure.bbox.x1 and b.y1 <= figure.bbox.y1 for b in boxes)
    assert not any(a.overlaps(b) for i, a in enumerate(boxes) for b in boxes[:i])


@pytest.mark.parametrize(("module", "extra"), [("matplotlib", "plot"), ("PIL", "train")])
def test_missing_library_names_the_extra(monkeypatch, module, extra):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ModuleNotFoundError, match=rf"pip install -e '\.\[{extra}\]' in a checkout"):
        figures.import_plotting(module)
