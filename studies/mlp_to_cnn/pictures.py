"""What the study `mlp_to_cnn` learned, as pictures: filters with their orbits, and the matrices of translations."""

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float, Int

from orbitconv.figures.basis_figures import INK
from orbitconv.figures.drawing import import_plotting, new_figure, tile, words_at

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_words = partial(words_at, ha="left", va="baseline")

# Group elements of the shown orbit, as steps (down, right) from the middle of the image.
_ELEMENTS = ((0, 0), (0, 6), (6, 0), (6, 6), (-8, -9))

# Side of the cut-outs of filters, in pixels; rows of pixels in the cut-out of a matrix.
_CUT, _ROWS = 7, 3


def in_plain_order(vectors: Float[np.ndarray, "... p"], order: Int[np.ndarray, " p"]) -> Float[np.ndarray, "... h w"]:
    """Reshape vectors of pixels into images, in plain order."""
    images = np.empty_like(vectors)
    images[..., order] = vectors
    side = round(len(order) ** 0.5)
    return images.reshape(*vectors.shape[:-1], side, side)


def filters_and_orbit(
    filters: Float[np.ndarray, "f p"], generators: Float[np.ndarray, "2 p p"], order: Int[np.ndarray, " p"]
) -> "Figure":
    """All filters of a first layer, and one of them moved by the learned group, as we and as the network see it."""
    side, gap, left, top = 0.62, 0.07, 0.15, 0.62
    rows = -(-len(filters) // 4)
    picture, wide = 1.36, 4 * (side + gap)
    first = left + wide + 0.5
    figure = new_figure(first + 0.75 + len(_ELEMENTS) * (picture + 0.1), top + 2 * (picture + 0.1) + 0.1)
    _words(figure, left, top - 0.12, "learned first-layer filters,\nunpermuted for viewing")
    for index, image in enumerate(in_plain_order(filters, order)):
        y, x = divmod(index, 4)
        axes = tile(figure, left + x * (side + gap), top + y * (side + gap) * min(1, 4 / rows), side)
        _show(axes, _cut(image))
    best = filters[np.abs(filters).sum(1).argmax()]
    centred = _to_middle(best, generators, order)
    for e, (down, right) in enumerate(_ELEMENTS):
        x = first + 0.75 + e * (picture + 0.1)
        moved = _apply(generators[1], right) @ (_apply(generators[0], down) @ centred)
        seen = moved.reshape(in_plain_order(moved, order).shape)
        for r, image in enumerate((in_plain_order(moved, order), seen)):
            _show(tile(figure, x, top + r * (picture + 0.1), picture), image)
        _words(figure, x + picture / 2, top - 0.12, _steps(down, right), ha="center")
    _words(figure, first + 0.75, top - 0.42, "the orbit of one of them under the learned group")
    for r, words in enumerate(("as we\nsee it", "as the\nnetwork\nsees it")):
        _words(figure, first + 0.66, top + r * (picture + 0.1) + picture / 2, words, ha="right", va="center")
    return figure


def translation_matrices(
    learned: Mapping[str, Float[np.ndarray, "p p"]], orders: Mapping[str, Int[np.ndarray, " p"]], axis: int = 1
) -> "Figure":
    """Learned matrices of one shift, the same in plain pixel order, and their distance from the truth."""
    width, gap, top = 2.35, 0.32, 0.62
    words = {"plain": "learned in plain order", "permuted": "learned in one random order"}
    figure = new_figure(0.2 + (len(learned) + 2) * (width + gap) + 0.55, top + width + 0.35)
    for column, (name, matrix) in enumerate(learned.items()):
        axes = tile(figure, 0.15 + column * (width + gap), top, width)
        axes.imshow(_block_max(np.abs(matrix), 4), cmap="Blues", vmin=0, vmax=1)
        _words(figure, 0.15 + column * (width + gap), top - 0.12, f"{words.get(name, name)}\nall {len(matrix)} pixels")
    name, matrix = list(learned.items())[-1]
    place = np.argsort(orders[name])
    restored = matrix[np.ix_(place, place)]
    side = round(len(place) ** 0.5)
    true = np.roll(np.eye(side * side).reshape(-1, side, side), 1, 1 + axis).reshape(side * side, -1).T
    cut = slice(0, _ROWS * side)
    x = 0.15 + len(learned) * (width + gap)
    tile(figure, x, top, width).imshow(np.abs(restored[cut, cut]), cmap="Blues", vmin=0, vmax=1)
    _words(figure, x, top - 0.12, f"the latter, put back in plain order\nthe first {_ROWS} rows of pixels")
    x += width + gap
    axes = tile(figure, x, top, width)
    off = np.log10(np.maximum(np.abs(restored - true)[cut, cut], 1e-17))
    image = axes.imshow(off, cmap="magma", vmin=-17, vmax=-11)
    _words(figure, x, top - 0.12, "distance of its entries\nfrom the true shift")
    total = figure.get_size_inches()
    bar = figure.add_axes(((x + width + 0.08) / total[0], 0.35 / total[1], 0.1 / total[0], width / total[1]))
    figure.colorbar(image, cax=bar, ticks=range(-17, -10, 2), format=lambda power, _: f"$10^{{{power:.0f}}}$")
    bar.tick_params(length=0, labelsize=8, colors=INK)
    import_plotting("matplotlib").artist.setp(bar.spines.values(), visible=False)
    return figure


def _block_max(matrix: Float[np.ndarray, "p p"], block: int) -> Float[np.ndarray, "q q"]:
    """Largest entry of every block, so that single entries stay visible in a small picture."""
    size = len(matrix) // block * block
    return matrix[:size, :size].reshape(size // block, block, size // block, block).max((1, 3))


def _apply(generator: Float[np.ndarray, "p p"], power: int) -> Float[np.ndarray, "p p"]:
    return np.linalg.matrix_power(generator if power >= 0 else generator.T, abs(power))


def _to_middle(
    vector: Float[np.ndarray, " p"], generators: Float[np.ndarray, "2 p p"], order: Int[np.ndarray, " p"]
) -> Float[np.ndarray, " p"]:
    """Move a filter to the middle of the image, by elements of the learned group."""
    image = in_plain_order(vector, order)
    down, right = (len(image) // 2 - place for place in _middle(image))
    return _apply(generators[1], right) @ (_apply(generators[0], down) @ vector)


def _middle(image: Float[np.ndarray, "h w"]) -> tuple[int, int]:
    """The pixel around which a 5x5 window holds most of a filter; the image wraps around."""
    energy = np.square(image)
    around = sum(np.roll(energy, (dy, dx), (0, 1)) for dy in range(-2, 3) for dx in range(-2, 3))
    y, x = divmod(int(np.argmax(around)), image.shape[1])
    return y, x


def _cut(image: Float[np.ndarray, "h w"]) -> Float[np.ndarray, "c c"]:
    """A small square around a filter."""
    side = min(_CUT, len(image))
    y, x = _middle(image)
    return np.roll(image, (side // 2 - y, side // 2 - x), (0, 1))[:side, :side]


def _steps(down: int, right: int) -> str:
    vertical = f"{abs(down)} {'down' if down > 0 else 'up'}" if down else ""
    horizontal = f"{abs(right)} {'right' if right > 0 else 'left'}" if right else ""
    return ", ".join(filter(None, (vertical, horizontal))) or "in the middle"


def _show(axes: "Axes", image: Float[np.ndarray, "h w"]) -> None:
    """A filter on its own scale: red is positive, blue negative."""
    limit = float(np.abs(image).max())
    axes.imshow(image, cmap="RdBu_r", vmin=-limit, vmax=limit, interpolation="nearest")
