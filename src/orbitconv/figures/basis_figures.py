"""The figures of a basis, drawn from arrays alone: spectrum, eigenvalues, inner products."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import numpy as np
from jaxtyping import Complex, Float

from orbitconv.figures.basis_turning import multiplicities
from orbitconv.figures.drawing import import_plotting, new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK, QUIET, FAINT = "#1f2328", "#6a7179", "#d0d4d9"

_FAMILY_COLORS = {
    "exact": "#5f6368", "nearest": "#7a1f1f", "bilinear": "#00806a", "gaussian": "#b85c00", "harmonic": "#a0306b",
    "unitary": "#0057b8", "spectral": "#8a2d8f",
}  # fmt: skip


def family_color(family: str) -> str:
    """The colour of a family, the same in every figure."""
    return _FAMILY_COLORS.get(family, INK)


@dataclass(frozen=True)
class Spectrum:
    """The orbits of a spectral basis, best first: error and frequency of each atom, and how many the basis keeps."""

    errors: Sequence[float]
    frequencies: Sequence[int]
    kept: int


def spectrum_figure(spectra: dict[str, Spectrum], floor: float = 1e-3) -> "Figure":
    """Equivariance error of every atom, one panel for each basis; its angular frequency is its marker."""
    longest = max(len(spectrum.errors) for spectrum in spectra.values())
    figure = new_figure(1.0 + max(4.9, 0.165 * longest) * len(spectra), 4.1)
    panels = figure.subplots(1, len(spectra), squeeze=False, sharey=True)[0]
    shades = import_plotting("matplotlib").colormaps["viridis"]
    highest = max(k for s in spectra.values() for k in s.frequencies) or 1
    for axes, (name, spectrum) in zip(panels, spectra.items(), strict=True):
        errors = np.maximum(spectrum.errors, floor)
        index = np.arange(1, len(errors) + 1)
        axes.axvspan(0, spectrum.kept + 0.5, color=family_color("spectral"), alpha=0.07, linewidth=0)
        axes.plot(
            index, errors, color=FAINT, linewidth=1, marker="o", markersize=12, markerfacecolor="white",
            markeredgewidth=0.6, zorder=2,
        )  # fmt: skip
        for k in sorted(set(spectrum.frequencies)):
            own = np.array(spectrum.frequencies) == k
            axes.plot(
                index[own], errors[own], linestyle="none", marker=f"${k}$", markersize=7 if k < 10 else 9,
                color=shades(0.9 * k / highest), markeredgewidth=0.3, label=f"k = {k}", zorder=3,
            )  # fmt: skip
        axes.text(
            (spectrum.kept + 1) / 2, 1.0, f"{spectrum.kept} atoms kept", transform=axes.get_xaxis_transform(),
            ha="center", va="bottom", fontsize=8.5, color=family_color("spectral"),
        )  # fmt: skip
        axes.set_yscale("log")
        axes.set_ylim(0.6 * floor, 2)
        axes.set_xlim(0, len(errors) + 1)
        axes.minorticks_off()
        axes.tick_params(length=0, colors=INK, pad=6)
        axes.xaxis.set_major_locator(import_plotting("matplotlib.ticker").MaxNLocator(10, integer=True))
        axes.set_xlabel("atom, best first (the marker is its angular frequency)", color=INK)
        axes.set_title(name, fontsize=11, fontweight="bold", color=INK, pad=20)
        axes.grid(visible=True, axis="y", color=FAINT, linewidth=0.5)
        axes.set_axisbelow(True)
        axes.spines[["top", "right"]].set_visible(False)
    panels[0].set_ylabel(f"equivariance error (drawn at {floor:g} if below)", color=INK)
    figure.subplots_adjust(left=0.85 / figure.get_figwidth(), right=0.985, top=0.86, bottom=0.15, wspace=0.06)
    return figure


@dataclass(frozen=True)
class Eigenvalues:
    """Eigenvalues of the map of one step of a group, in degrees, for one basis; so many steps make a full turn."""

    name: str
    family: str
    degrees: float
    steps: int
    values: Complex[np.ndarray, " d"]


def eigenvalue_figure(bases: Sequence[Eigenvalues]) -> "Figure":
    """Eigenvalues of one step in the complex plane, one panel for each basis, with the circle that keeps norms."""
    side = 2.5
    words = "At the marks, all steps together make a full turn; inside the circle, every step loses something."
    canvas, places = _panels(len(bases), side, "Eigenvalues of one step", words)
    for one, (x, y) in zip(bases, places, strict=True):
        axes = _inset(canvas, x, y, side)
        axes.set_xlim(-1.3, 1.3)
        axes.set_ylim(-1.3, 1.3)
        axes.axis("off")
        around = 2 * np.pi * np.arange(361) / 360
        axes.fill(np.cos(around), np.sin(around), color="#f4f5f6", zorder=0)
        axes.plot(np.cos(around), np.sin(around), color=QUIET, linewidth=0.9, zorder=1)
        marks = 2 * np.pi * np.arange(one.steps) / one.steps
        ends = np.array([[0.95], [1.05]])
        axes.plot(ends * np.cos(marks), ends * np.sin(marks), color=QUIET, linewidth=0.8)
        clusters = multiplicities(one.values)
        sizes = [26 * count**0.5 for _, count in clusters]
        color = family_color(one.family)
        x_values, y_values = [value.real for value, _ in clusters], [value.imag for value, _ in clusters]
        axes.scatter(x_values, y_values, s=sizes, color=color, edgecolors="white", linewidths=0.6, zorder=3)
        for value, count in clusters:
            if count > 1:
                away = value / abs(value) if abs(value) > 0.1 else -1.0 + 0j
                at = value + 0.18 * away
                axes.text(at.real, at.imag, f"{count}", fontsize=8.5, color=INK, ha="center", va="center", zorder=4)
        least, most = np.abs(one.values).min(), np.abs(one.values).max()
        span = f"|λ| = {most:.2f}" if f"{least:.2f}" == f"{most:.2f}" else f"|λ| from {least:.2f} to {most:.2f}"
        _panel_title(
            canvas, x, y, side, one.name, f"{len(one.values)} atoms, a step of {one.degrees:g}°: {span}", color
        )
    return figure_of(canvas)


@dataclass(frozen=True)
class Inner:
    """Inner products of the atoms of one basis at one angle in degrees, the identity matrix if the turn keeps norms."""

    name: str
    family: str
    degrees: float
    matrix: Float[np.ndarray, "d d"]
    error: float


def unitarity_figure(bases: Sequence[Inner]) -> "Figure":
    """Inner products of turned atoms as matrices, one panel for each basis."""
    side = 2.2
    words = "A turn that keeps norms and angles leaves a diagonal of ones."
    canvas, places = _panels(len(bases), side, "Inner products of turned atoms", words, below=0.62)
    limit = max(1.0, *(float(np.abs(one.matrix).max()) for one in bases))
    for one, (x, y) in zip(bases, places, strict=True):
        axes = _inset(canvas, x, y, side)
        axes.imshow(np.abs(one.matrix), cmap="BuPu", vmin=0, vmax=limit, interpolation="nearest")
        axes.set_xticks([])
        axes.set_yticks([])
        for spine in axes.spines.values():
            spine.set(color=FAINT, linewidth=0.6)
        words = f"{len(one.matrix)} atoms, {one.degrees:g}°: error {one.error:.2f}"
        _panel_title(canvas, x, y, side, one.name, words, family_color(one.family))
    figure = figure_of(canvas)
    width, height = figure.get_size_inches()
    bar = figure.add_axes(((width / 2 - 1.6) / width, 0.36 / height, 3.2 / width, 0.13 / height))
    mappable = import_plotting("matplotlib.cm").ScalarMappable(
        norm=import_plotting("matplotlib.colors").Normalize(0, limit), cmap="BuPu"
    )
    colorbar = figure.colorbar(mappable, cax=bar, orientation="horizontal")
    colorbar.outline.set(edgecolor=FAINT, linewidth=0.6)  # pyright: ignore[reportCallIssue]
    bar.tick_params(labelsize=8.5, length=2, colors=INK)
    return figure


def new_canvas(width: float, height: float) -> "Axes":
    """A figure to draw on in inches from its upper left corner."""
    axes = new_figure(width, height).add_axes((0, 0, 1, 1))
    axes.set_xlim(0, width)
    axes.set_ylim(height, 0)
    axes.axis("off")
    return axes


def figure_of(axes: "Axes") -> "Figure":
    """The figure of a canvas."""
    return cast("Figure", axes.get_figure())


def _panels(
    count: int, side: float, title: str, words: str, below: float = 0.1
) -> tuple["Axes", list[tuple[float, float]]]:
    """A canvas with room for square panels under titles of their own, and where the panels go."""
    columns = columns_for(count)
    pitch, top = max(side, 2.8) + 0.35, 0.72
    line = 0.54 + side + 0.14
    width = max(columns * pitch, 0.3 + 0.073 * len(words))
    canvas = new_canvas(width, top + math.ceil(count / columns) * line + below)
    canvas.text(0.15, 0.26, title, fontsize=12, color=INK, va="center", fontweight="bold")
    canvas.text(0.15, 0.51, words, fontsize=9, color=QUIET, va="center")
    left = (width - columns * pitch + pitch - side) / 2
    places = [divmod(index, columns) for index in range(count)]
    return canvas, [(left + c * pitch, top + r * line + 0.54) for r, c in places]


def columns_for(count: int) -> int:
    """How many panels go side by side: five at most, rows as even as can be."""
    return math.ceil(count / math.ceil(count / 5))


def _inset(canvas: "Axes", x: float, y: float, side: float) -> "Axes":
    """Axes of their own on a canvas; x and y are the upper left corner in inches."""
    figure = figure_of(canvas)
    width, height = figure.get_size_inches()
    return figure.add_axes((x / width, 1 - (y + side) / height, side / width, side / height))


def _panel_title(canvas: "Axes", x: float, y: float, side: float, name: str, words: str, color: str) -> None:
    """Two lines above a panel."""
    middle = x + side / 2
    canvas.text(middle, y - 0.36, name, fontsize=10.5, color=color, ha="center", va="center", fontweight="bold")
    canvas.text(middle, y - 0.14, words, fontsize=8.5, color=QUIET, ha="center", va="center")
