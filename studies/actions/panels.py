"""The panels below the picture of a learned transformation: its matrix, what it is sure of, its eigenvalues."""

from typing import TYPE_CHECKING

import numpy as np
import torch
from jaxtyping import Complex, Float
from torch import Tensor

from orbitconv.figures.basis_figures import FAINT, INK, QUIET, figure_of
from orbitconv.figures.drawing import import_plotting
from studies.actions.learn_action import ActionResult

if TYPE_CHECKING:
    from matplotlib.axes import Axes

PANEL = 2.05
"""Side of a panel, in inches."""

_COLOR = "#0057b8"

# Side of the largest matrix that is written in numbers, and of the largest that is drawn entry by entry.
_IN_NUMBERS, _ENTRIES = 4, 300

# Doubt below is rounding; as many values at most are drawn as large dots.
_LEAST, _FEW = 1e-16, 40


def draw_panels(canvas: "Axes", result: ActionResult, top: float) -> None:
    """Draw the matrix, a closer look at it, the confidence of all directions, the eigenvalues."""
    matrix = result.matrix().cpu()
    size = len(matrix)
    permuted = not torch.equal(result.pixel_order, torch.arange(size))
    panels = [("the matrix", f"{size} x {size}", _draw_matrix, matrix)]
    if permuted:
        panels = [("the matrix", "as the learner sees it", _draw_matrix, result.action.matrix.cpu())]
        panels.append(("put in order", "rows and columns unscrambled", _draw_matrix, matrix))
    elif size > _IN_NUMBERS:
        near = min(size, 3 * result.shown.shape[-1])
        start = (size - near) // 2
        words = f"rows and columns {start + 1} to {start + near}"
        panels.append(("its centre", words, _draw_matrix, matrix[start : start + near, start : start + near]))
    space = figure_of(canvas).get_figwidth() - 0.75
    gap = (space - (len(panels) + 2) * PANEL) / (len(panels) + 1)
    for index, (title, words, draw, values) in enumerate(panels):
        x = 0.35 + index * (PANEL + gap)
        _panel_title(canvas, x, top, title, words)
        draw(inset(canvas, x, top + 0.62, PANEL, PANEL), values)
    x = 0.35 + len(panels) * (PANEL + gap)
    _panel_title(canvas, x, top, "doubt: 1 - confidence", f"{result.action.rank} of {size} directions determined")
    _draw_confidence(inset(canvas, x + 0.1, top + 0.62, PANEL - 0.1, PANEL), result)
    x += PANEL + gap
    eigenvalues = torch.linalg.eigvals(matrix).numpy()
    lost = int((np.abs(eigenvalues) < 0.01).sum())
    _panel_title(canvas, x, top, "eigenvalues", f"on the circle: norm kept{f'; {lost} at 0' if lost else ''}")
    _draw_eigenvalues(inset(canvas, x, top + 0.62, PANEL, PANEL), eigenvalues, result.facts["order"])


def _draw_matrix(axes: "Axes", matrix: Tensor) -> None:
    """A matrix as colours; of large ones, the entry of largest magnitude of every block."""
    values = _largest_of_blocks(matrix.numpy())
    limit = float(np.abs(matrix.numpy()).max()) or 1.0
    axes.imshow(values, cmap="RdBu_r", vmin=-limit, vmax=limit, interpolation="nearest")
    if len(values) <= _IN_NUMBERS:
        for (row, column), value in np.ndenumerate(values):
            ink = "white" if abs(value) > 0.6 * limit else INK
            axes.text(column, row, f"{value:.2f}", fontsize=9, color=ink, ha="center", va="center")
    frame(axes)


def _largest_of_blocks(matrix: Float[np.ndarray, "m n"]) -> Float[np.ndarray, "r s"]:
    """The entry of largest magnitude of every block of a matrix that has too many entries to see."""
    step = -(-len(matrix) // _ENTRIES)
    padded = np.pad(matrix, [(0, -length % step) for length in matrix.shape])
    rows, cols = (length // step for length in padded.shape)
    blocks = padded.reshape(rows, step, cols, step).transpose(0, 2, 1, 3).reshape(rows, cols, -1)
    return np.take_along_axis(blocks, np.abs(blocks).argmax(-1)[..., None], -1)[..., 0]


def _draw_confidence(axes: "Axes", result: ActionResult) -> None:
    """What is missing to full confidence in all directions, least first, on a logarithmic scale."""
    confidence = result.action.confidence.cpu().numpy()
    values = np.maximum(1 - confidence, _LEAST)
    index = np.arange(1, len(values) + 1)
    there = confidence > 0
    markers = {"marker": "o", "markersize": 5} if len(values) <= _FEW else {}
    axes.plot(index[there], values[there], color=_COLOR, linewidth=2, **markers)
    if result.action.rank < len(values):
        axes.axvspan(result.action.rank + 0.5, len(values) + 0.5, color=QUIET, alpha=0.12, linewidth=0)
        share = 1 - result.action.rank / len(values)
        if share > 0.12:
            at = (result.action.rank + len(values)) / 2
            axes.text(
                at, 0.5, "lost, or no data", transform=axes.get_xaxis_transform(), rotation=90, fontsize=8.5,
                color=QUIET, ha="center", va="center",
            )  # fmt: skip
    axes.set_yscale("log")
    axes.set_ylim(_LEAST / 3, 2)
    axes.set_yticks([1e-16, 1e-12, 1e-8, 1e-4, 1])
    axes.set_xlim(0.5, len(values) + 0.5)
    axes.minorticks_off()
    axes.xaxis.set_major_locator(import_plotting("matplotlib.ticker").MaxNLocator(4, integer=True))
    axes.set_xlabel("direction, surest first", fontsize=8.5, color=INK)
    axes.tick_params(length=0, colors=INK, labelsize=8.5)
    axes.grid(visible=True, axis="y", color=FAINT, linewidth=0.5)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(FAINT)


def _draw_eigenvalues(axes: "Axes", values: Complex[np.ndarray, " p"], order: int | None) -> None:
    """Eigenvalues in the complex plane, with the circle that keeps norms."""
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
    axes.scatter(np.real(values), np.imag(values), s=size, color=_COLOR, alpha=alpha, linewidths=0, zorder=3)


def inset(canvas: "Axes", x: float, y: float, width: float, height: float) -> "Axes":
    """Axes of their own on a canvas."""
    figure = figure_of(canvas)
    w, h = figure.get_size_inches()
    return figure.add_axes((x / w, 1 - (y + height) / h, width / w, height / h))


def frame(axes: "Axes") -> None:
    """A thin frame without ticks."""
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set(color=FAINT, linewidth=0.6)


def _panel_title(canvas: "Axes", x: float, y: float, title: str, words: str) -> None:
    canvas.text(x, y + 0.18, title, fontsize=10, color=INK, va="center", fontweight="bold")
    canvas.text(x, y + 0.4, words, fontsize=8.5, color=QUIET, va="center")
