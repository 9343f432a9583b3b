"""The picture of a learned transformation: what it does to held-out images, its matrix, its eigenvalues."""

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from jaxtyping import Complex, Float
from torch import Tensor

from orbitconv._support.progress import ProgressCallback
from orbitconv.figures.basis_figures import FAINT, INK, QUIET, figure_of, new_canvas
from orbitconv.figures.drawing import tile, write_figure
from orbitconv.records.record import Record
from studies.actions.learn_action import ActionResult, LearnAction, learn_action, write_action
from studies.base.command import Shown, table

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLUMNS = 9
"""Images in a row."""

_SIDE, _GAP, _LEFT, _PANEL = 0.86, 0.06, 1.75, 2.05
_AMPLIFIED = 10

# Norm errors below are rounding.
_KEPT = 1e-12
# Side of the largest matrix that is written in numbers, and of the largest that is drawn entry by entry.
_IN_NUMBERS, _ENTRIES = 4, 300
# As many eigenvalues at most are drawn as large dots.
_FEW = 40


@dataclass(frozen=True)
class _Row:
    label: str
    images: Tensor
    signed: bool = False
    captions: Sequence[str] | None = None


def learn_and_write(config: LearnAction, progress: ProgressCallback) -> Record:
    """Learn the transformation, measure its error, and write the matrix and the figure."""
    result = learn_action(config, progress)
    record = write_action(result, config, config.out)
    write_figure(action_figure(result), config.out, "action")
    return record


def show(_config: object, record: Record) -> Shown:
    """The figures of a learned transformation."""
    facts: dict[str, Any] = record.rows[0]
    columns = {
        "pairs": f"{facts['pairs']:,}", "features": f"{facts['features']:,}", "rank": f"{facts['rank']:,}",
        "error, held out": f"{facts['error']:.2e}", "doing nothing": f"{facts['error_of_doing_nothing']:.2g}",
        "norm error": f"{facts['norm_error']:.1e}",
    }  # fmt: skip
    if facts["order"] is not None:
        error = facts["closure_error"]
        columns[f"closure, order {facts['order']}"] = "n/a" if error is None else f"{error:.1e}"
    title = f"{facts['transform']}, learned from {facts['data']} in {facts['seconds']:.1f} s"
    return Shown([table(title, [columns.values()], *columns)], notes=[f"Note: {n}" for n in record.extra["notes"]])


def action_figure(result: ActionResult) -> "Figure":
    """Draw a learned transformation."""
    blocks = (_held_out_rows(result), _power_rows(result))
    heights = [sum(_SIDE + _GAP + (0.18 if row.captions else 0) for row in rows) for rows in blocks]
    width = _LEFT + COLUMNS * (_SIDE + _GAP) + 0.15
    panels_top = 1.3 + sum(heights) + 0.5
    canvas = new_canvas(width, panels_top + 0.62 + _PANEL + 0.62)
    _title(canvas, result)
    y = 1.3
    bright = bool(result.shown.median() > 0.1) or result.shown.shape[1] == 3
    titles = ("On images not learned from", "Applied again and again")
    for rows, height, title in zip(blocks, heights, titles, strict=True):
        canvas.text(0.15, y - 0.16, title, fontsize=10, color=INK, va="center", fontweight="bold")
        _draw_rows(canvas, rows, y, bright=bright)
        y += height + 0.42
    _draw_panels(canvas, result, panels_top)
    return figure_of(canvas)


def _held_out_rows(result: ActionResult) -> list[_Row]:
    """Images, their true and learned transforms, and the difference."""
    images = result.shown[:COLUMNS]
    true, learned = result.transformation(images), result.apply(images)
    largest = float((learned - true).abs().max())
    rows = [
        _Row("image f", images),
        _Row("\n".join(["true:", *textwrap.wrap(result.transformation.words, 24)]), true),
        _Row("learned", learned),
        _Row(f"difference, times {_AMPLIFIED}\n(largest: {largest:.1g})", _AMPLIFIED * (learned - true), signed=True),
    ]
    if not torch.equal(result.pixel_order, torch.arange(len(result.pixel_order))) and result.facts["patch"] != 1:
        scrambled = images.flatten(1)[:, result.pixel_order].reshape(images.shape)
        rows.insert(1, _Row("what the learner\nsees of it", scrambled))
    return rows


def _power_rows(result: ActionResult) -> list[_Row]:
    """One image after many steps, true and learned: the most colourful one, else the one with most contrast."""
    level = result.shown.mean(1 if result.shown.shape[1] > 1 else (2, 3), keepdim=True)
    image = result.shown[int((result.shown - level).flatten(1).norm(dim=1).argmax())][None]
    order = result.facts["order"]
    last = order if order and order >= COLUMNS else COLUMNS - 1
    powers = [round(last * step / (COLUMNS - 1)) for step in range(COLUMNS)]
    true = [image]
    try:
        for _ in range(last):
            true.append(result.transformation(true[-1]))
    except ValueError:  # it cannot be applied to all that it produces
        true = []
    learned = torch.cat([result.apply(image, power) for power in powers])
    captions = ["once" if power == 1 else f"{power} times" for power in powers]
    rows = [_Row("true", torch.cat([true[power] for power in powers]))] if true else []
    return [*rows, _Row("learned", learned, captions=captions)]


def _draw_rows(canvas: "Axes", rows: Sequence[_Row], y: float, *, bright: bool) -> None:
    for row in rows:
        canvas.text(
            _LEFT - 0.12, y + _SIDE / 2, row.label, fontsize=9, color=INK, ha="right", va="center", linespacing=1.3
        )
        for column, image in enumerate(row.images):
            x = _LEFT + column * (_SIDE + _GAP)
            _show(tile(figure_of(canvas), x, y, _SIDE), image, signed=row.signed, bright=bright)
            if row.captions:
                canvas.text(
                    x + _SIDE / 2, y + _SIDE + 0.1, row.captions[column], fontsize=8, color=QUIET, ha="center",
                    va="center",
                )  # fmt: skip
        y += _SIDE + _GAP + (0.18 if row.captions else 0)


def _show(axes: "Axes", image: Tensor, *, signed: bool, bright: bool) -> None:
    pixels = image.numpy()
    if signed:
        largest = np.abs(pixels).argmax(0)[None]
        axes.imshow(np.take_along_axis(pixels, largest, 0)[0], cmap="RdBu_r", vmin=-1, vmax=1, interpolation="nearest")
    elif len(pixels) == 3:
        axes.imshow(pixels.transpose(1, 2, 0).clip(0, 1), interpolation="nearest")
    else:
        axes.imshow(pixels[0], cmap="gray" if bright else "gray_r", vmin=0, vmax=1, interpolation="nearest")


def _title(canvas: "Axes", result: ActionResult) -> None:
    """What was learned from what, and the figures."""
    facts = result.facts
    source = {"mnist": "MNIST digits", "fashion-mnist": "Fashion-MNIST images", "cifar10": "CIFAR-10 images"}
    of = source.get(facts["data"], facts["data"])
    if facts["patch"]:
        of = f"single pixels of {of}" if facts["patch"] == 1 else f"windows of {of}"
    name = facts["transform"][-40:]
    scrambled = "" if torch.equal(result.pixel_order, torch.arange(len(result.pixel_order))) else " in random order"
    canvas.text(
        0.15, 0.26, f"{name}, learned from {facts['pairs']:,} pairs of {of}", fontsize=13, color=INK,
        va="center", fontweight="bold",
    )  # fmt: skip
    norms = "keeps norms" if facts["norm_error"] < _KEPT else f"changes norms by {facts['norm_error']:.2g}"
    words = (
        f"{facts['features']:,} features{scrambled}.  Relative error on pairs not used: {facts['error']:.2g} (doing "
        f"nothing: {facts['error_of_doing_nothing']:.2g}).  The transformation {norms}."
    )
    if facts["closure_error"] is not None:
        words += (
            f"\nApplied {facts['order']} times, what was learned is the identity up to {facts['closure_error']:.2g}."
        )
    canvas.text(0.15, 0.46, words, fontsize=9, color=QUIET, va="top", linespacing=1.5)


def _draw_panels(canvas: "Axes", result: ActionResult, top: float) -> None:
    """Draw the matrix, as the learner sees it and in order again, and its eigenvalues."""
    matrix, size = result.matrix().cpu(), len(result.pixel_order)
    panels = [("the matrix", f"{size} x {size}", matrix)]
    if not torch.equal(result.pixel_order, torch.arange(size)):
        panels = [("the matrix", "as the learner sees it", result.action.matrix.cpu())]
        panels.append(("put in order", "rows and columns unscrambled", matrix))
    x = 0.35
    for title, words, values in panels:
        _panel_title(canvas, x, top, title, words)
        _draw_matrix(tile(figure_of(canvas), x, top + 0.62, _PANEL), values)
        x += _PANEL + 0.8
    eigenvalues = torch.linalg.eigvals(matrix).numpy()
    lost = int((np.abs(eigenvalues) < 0.01).sum())
    _panel_title(canvas, x, top, "eigenvalues", f"on the circle: norm kept{f'; {lost} at 0' if lost else ''}")
    _draw_eigenvalues(tile(figure_of(canvas), x, top + 0.62, _PANEL), eigenvalues, result.facts["order"])


def _draw_matrix(axes: "Axes", matrix: Tensor) -> None:
    """A matrix as colours; of large ones, the entry of largest magnitude of every block."""
    values = _largest_of_blocks(matrix.numpy())
    limit = float(np.abs(matrix.numpy()).max()) or 1.0
    axes.imshow(values, cmap="RdBu_r", vmin=-limit, vmax=limit, interpolation="nearest")
    if len(values) <= _IN_NUMBERS:
        for (row, column), value in np.ndenumerate(values):
            ink = "white" if abs(value) > 0.6 * limit else INK
            axes.text(column, row, f"{value:.2f}", fontsize=9, color=ink, ha="center", va="center")


def _largest_of_blocks(matrix: Float[np.ndarray, "m n"]) -> Float[np.ndarray, "r s"]:
    """The entry of largest magnitude of every block of a matrix that has too many entries to see."""
    step = -(-len(matrix) // _ENTRIES)
    padded = np.pad(matrix, [(0, -length % step) for length in matrix.shape])
    rows, cols = (length // step for length in padded.shape)
    blocks = padded.reshape(rows, step, cols, step).transpose(0, 2, 1, 3).reshape(rows, cols, -1)
    return np.take_along_axis(blocks, np.abs(blocks).argmax(-1)[..., None], -1)[..., 0]


def _draw_eigenvalues(axes: "Axes", values: Complex[np.ndarray, " p"], order: int | None) -> None:
    axes.set_xlim(-1.2, 1.2)
    axes.set_ylim(-1.2, 1.2)
    axes.axis("off")
    around = 2 * np.pi * np.arange(361) / 360
    axes.fill(np.cos(around), np.sin(around), color="#f4f5f6", zorder=0)
    axes.plot(np.cos(around), np.sin(around), color=QUIET, linewidth=0.9, zorder=1)
    axes.plot([-1, 1], [0, 0], color=FAINT, linewidth=0.6, zorder=1)
    axes.plot([0, 0], [-1, 1], color=FAINT, linewidth=0.6, zorder=1)
    if order:
        marks, ends = 2 * np.pi * np.arange(order) / order, np.array([[1.04], [1.12]])
        axes.plot(ends * np.cos(marks), ends * np.sin(marks), color=QUIET, linewidth=0.8)
    size = 34 if len(values) <= _FEW else 9
    alpha = 0.9 if len(values) <= _FEW else 0.35
    axes.scatter(np.real(values), np.imag(values), s=size, color="#0057b8", alpha=alpha, linewidths=0, zorder=3)


def _panel_title(canvas: "Axes", x: float, y: float, title: str, words: str) -> None:
    canvas.text(x, y + 0.18, title, fontsize=10, color=INK, va="center", fontweight="bold")
    canvas.text(x, y + 0.4, words, fontsize=8.5, color=QUIET, va="center")
