"""Drawings of bases from made-up numbers."""

import io

import numpy as np
import pytest

from orbitconv.figures import basis_figures as figures
from orbitconv.figures.basis_film import Actor, film
from orbitconv.figures.contact_sheet import Row, colors, contact_sheet
from orbitconv.figures.drawing import render
from orbitconv.groups import Cyclic, Dihedral

pytest.importorskip("matplotlib")
Image = pytest.importorskip("PIL.Image")


def texts(figure):
    return [text for axes in figure.axes for text in axes.texts if text.get_text()]


def sheet(group, rows=3):
    tiles = np.random.default_rng(0).normal(size=(rows, group.order, 5, 5))
    made = [Row(f"atom {r}\nk = 2\nerror 0.0012", list(t), [1.0] * group.order) for r, t in enumerate(tiles)]
    return contact_sheet("spectral, C8 5x5: 3 atoms", made, group, note="The norm.")


@pytest.mark.parametrize(
    "group", [Cyclic(1), Dihedral(1), Dihedral(2), Cyclic(8), Dihedral(8), Cyclic(16)], ids=lambda group: group.name
)
def test_no_words_of_a_sheet_leave_it_or_touch_others(group):
    figure = sheet(group)
    boxes = [text.get_window_extent() for text in texts(figure)]
    assert all(b.x0 >= 0 and b.y0 >= 0 and b.x1 <= figure.bbox.x1 and b.y1 <= figure.bbox.y1 for b in boxes)
    assert not any(a.overlaps(b) for i, a in enumerate(boxes) for b in boxes[:i])


def test_all_pictures_of_a_sheet_share_one_scale_on_which_zero_is_white():
    strong, weak = np.full((2, 2), 4.0), np.full((2, 2), 2.0)
    figure = contact_sheet("", [Row("a", [strong, -strong]), Row("b", [weak, None])], ["0°", "90°"])
    seen = Image.open(io.BytesIO(render(figure, "png"))).convert("RGB")
    found = {color for _, color in seen.getcolors(10**6)}
    expected = colors(np.array([[1.0, -1.0, 0.5, -0.5]]))[0].tolist()
    assert [tuple(color) in found for color in expected] == [True, True, True, False]
    assert min(colors(np.zeros((1, 1)))[0, 0]) >= 245


def test_pixels_are_drawn_where_they_are():
    tile = np.zeros((3, 3))
    tile[0, 2] = 1.0  # upper right
    figure = contact_sheet("", [Row("a", [tile])], ["0°"])
    (strip,) = (np.asarray(image.get_array()) for image in figure.axes[0].get_images())
    full = colors(np.ones((1, 1)))[0, 0]
    rows, cols = np.nonzero((strip == full).all(-1))
    assert rows.max() < len(strip) / 3
    assert cols.min() >= strip.shape[1] * 2 / 3 - 1
    assert len(rows) == pytest.approx(strip.shape[0] * strip.shape[1] / 9, rel=0.1)


def test_the_spectrum_draws_each_atom_at_its_error_under_its_frequency():
    spectrum = figures.Spectrum((0.0, 0.1, 0.1, 0.4), (0, 1, 1, 2), 3)
    axes = figures.spectrum_figure({"spectral": spectrum}).axes[0]
    lines = {line.get_label(): line.get_xydata().tolist() for line in axes.get_lines()}
    assert lines["k = 0"] == [[1, 1e-3]]
    assert lines["k = 1"] == [[2, 0.1], [3, 0.1]]
    assert lines["k = 2"] == [[4, 0.4]]


def test_eigenvalues_are_drawn_where_they_are_with_their_number():
    values = np.array([1.0, 1.0, 0.5j, -0.5j])
    figure = figures.eigenvalue_figure([figures.Eigenvalues("bilinear", "bilinear", 45, 8, values)])
    (points,) = (c for axes in figure.axes for c in axes.collections if len(c.get_offsets()))
    assert sorted(points.get_offsets().tolist()) == [[0, -0.5], [0, 0.5], [1, 0]]
    assert "2" in {text.get_text() for text in texts(figure)}
    assert any("from 0.50 to 1.00" in text.get_text() for text in texts(figure))


@pytest.mark.parametrize("count", [1, 2, 7, 11])
def test_no_words_of_panels_leave_the_figure_or_touch_others(count):
    values = np.exp(2j * np.pi * np.repeat(np.arange(16), 2) / 16)
    eigenvalues = [figures.Eigenvalues("gaussian, sigma 0.3", "gaussian", 22.5, 16, values * 0.9)] * count
    inner = [figures.Inner("gaussian, sigma 0.3", "gaussian", 45, np.eye(9), 0.25)] * count
    for figure in (figures.eigenvalue_figure(eigenvalues), figures.unitarity_figure(inner)):
        boxes = [text.get_window_extent() for text in texts(figure)]
        assert all(b.x0 >= 0 and b.y0 >= 0 and b.x1 <= figure.bbox.x1 and b.y1 <= figure.bbox.y1 for b in boxes)
        assert not any(a.overlaps(b) for i, a in enumerate(boxes) for b in boxes[:i])


def test_a_film_shows_the_values_of_every_frame():
    frames = [np.array([[1.0, 0.0], [0.0, 0.0]]), np.array([[0.0, 0.0], [0.0, -1.0]])]
    moving = Image.open(io.BytesIO(film([Actor("one", "#000000", frames)], ["0°", "180°"], "webp")))
    red, blue = (tuple(color) for color in colors(np.array([[1.0, -1.0]]))[0].tolist())
    corners = []
    for frame in range(2):
        moving.seek(frame)
        seen = moving.convert("RGB")
        corners.append((seen.getpixel((20 + 52, 82 + 52)), seen.getpixel((20 + 157, 82 + 157))))
    white = tuple(colors(np.zeros((1, 1)))[0, 0].tolist())
    assert corners == [(red, white), (white, blue)]
