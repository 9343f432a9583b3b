"""The sections of a report on runs, as HTML."""

import io
from collections.abc import Iterator, Sequence
from html import escape
from typing import TYPE_CHECKING

from orbitconv.data import ImageSet
from orbitconv.evaluation.network_facts import measured_group
from orbitconv.figures.drawing import Curve, Look, angle_figure, import_plotting, render
from orbitconv.report.figures import (
    FLOOR,
    layer_figure,
    layer_points,
    learning_figures,
    looks_of,
    shows_bands,
)
from orbitconv.report.filters import orbit_figure
from orbitconv.report.grouping import Kind
from orbitconv.report.html import image, prose
from orbitconv.report.measure import LAYER_IMAGES
from orbitconv.report.mistakes import Mistake
from orbitconv.report.outcome import Outcome
from orbitconv.report.tables import confusion_table
from orbitconv.report.words import count, listed

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def learning_curves(outcome: Outcome) -> Iterator[str]:
    """Loss and errors against the epoch, of all runs.

    Args:
        outcome: What was measured on one data set.

    Yields:
        HTML.
    """
    looks = looks_of(outcome.kinds)
    panels = [
        _svg(figure, f"{words} of every network against the epoch.".capitalize(), width=34)
        for words, figure in learning_figures(outcome.kinds, looks)
    ]
    if panels:
        content = f'{_legend(outcome.kinds, looks)}<div class="panels">{"".join(panels)}</div>'
        yield _figure(
            content, f"Each line is the mean over the runs that have reached the epoch.{_bands(outcome.kinds)}"
        )
    else:
        yield "<p>No run has finished an epoch yet.</p>"


def angle_curves(outcome: Outcome) -> Iterator[str]:
    """Error against the angle of the test images.

    Args:
        outcome: What was measured on one data set.

    Yields:
        HTML.
    """
    if outcome.turned_already:
        yield _note(
            f"Every test image of {outcome.data} is turned by an angle of its own already, so the test error is the "
            "error at random angles. There is no curve: to turn the images once more would blur them twice."
        )
        return
    kinds, looks = _tested(outcome)
    curves = []
    for kind, look in zip(kinds, looks, strict=True):
        measured = outcome.of(kind)
        points = {float(degrees): [one.by_angle[degrees] for one in measured] for degrees in measured[0].by_angle}
        curves.append(Curve(points=points, look=look, band=shows_bands(kinds)))
    assert outcome.images is not None
    alt = "Test error of every network against the angle of the test images."
    content = _legend(kinds, looks) + _svg(angle_figure(curves, "images"), alt, dense=True)
    yield _figure(
        content,
        f"The first {len(outcome.images):,} test images, all turned by the same angle with a cubic spline."
        f"{_bands(kinds)}",
    )


def layer_curves(outcome: Outcome) -> Iterator[str]:
    """Equivariance error, layer by layer.

    Args:
        outcome: What was measured on one data set.

    Yields:
        HTML.
    """
    kinds, looks = _tested(outcome)
    points = [layer_points(outcome.of(kind)) for kind in kinds]
    alt = "Equivariance error of every layer of every network."
    content = _legend(kinds, looks) + _svg(layer_figure(points, looks), alt, dense=True)
    assert outcome.images is not None
    free = [kind.name for kind in kinds if kind.settings.get("network.options.pool_group") == "none"]
    but = f", but those of {listed(free)}, whose last layer sees every copy of a field" if free else ""
    yield _figure(
        content,
        "How far what a layer puts out for a turned image is from what it puts out for the image, turned, relative to "
        f"its size; the scores at the end shall not change at all{but}. The mean over all elements of the group but "
        f"the identity, on {min(LAYER_IMAGES, len(outcome.images))} test images; what is below {FLOOR:g} is drawn "
        f"there. {_groups(outcome, kinds)}{_bands(kinds)}",
    )


def _bands(kinds: Sequence[Kind]) -> str:
    """What a band is, where there is one."""
    shown = shows_bands(kinds) and any(len(kind.runs) > 1 for kind in kinds)
    return " A band is the standard deviation over seeds." if shown else ""


def _groups(outcome: Outcome, kinds: Sequence[Kind]) -> str:
    """Under which groups the layers are measured, and what that means."""
    own = [outcome.of(kind)[0].group for kind in kinds]
    under: dict[str, list[str]] = {}
    for kind, group in zip(kinds, own, strict=True):
        under.setdefault(str(measured_group(group)), []).append(kind.name)
    text = f"Under {listed([f'{group} ({listed(names)})' for group, names in under.items()])}."
    if None in own:
        text += " A plain network has no group of its own: its feature maps are turned only."
    if len(under) > 1:
        text += " Compare lines under the same group: quarter turns, which the grid allows exactly, are the easiest."
    return text


def first_layer(outcome: Outcome) -> Iterator[str]:
    """The filters of the first layer of one network of each kind.

    Args:
        outcome: What was measured on one data set.

    Yields:
        HTML.
    """
    yield _note(
        "The strongest filters of the first layer, from one network of each kind; channels of the image are added up. "
        "Each has norm one at the identity: where the norm falls, the filter answers less at that angle."
    )
    for name, network in outcome.networks.items():
        figure = orbit_figure(network)
        if figure is not None:
            inches = figure.get_figwidth()
            alt = f"Filters of the first layer of {name}, turned by every element of its group."
            picture = image(render(figure, "png"), "png", alt, width=round(7 * inches), dense=inches > 6)
            yield f"<h4>{escape(name)}</h4>\n{_figure(picture)}"


def confusions(outcome: Outcome) -> Iterator[str]:
    """Which classes one network of each kind takes for which.

    Args:
        outcome: What was measured on one data set.

    Yields:
        HTML.
    """
    assert outcome.images is not None
    yield _note(
        f"The first {len(outcome.images):,} test images, by their class (rows) and the class that one network of each "
        "kind takes them for (columns). The stronger the colour, the larger the share of the class."
    )
    for name, judged in outcome.judged.items():
        tables = [confusion_table(f"{name}: images as they are", judged.confusion, outcome.images.classes)]
        if judged.confusion_turned is not None:
            caption = f"{name}: at random angles"
            tables.append(confusion_table(caption, judged.confusion_turned, outcome.images.classes))
        long = " upright" if max(map(len, outcome.images.classes)) > 3 else ""
        yield f'<div class="pair{long}">{"".join(tables)}</div>'


def mistakes(outcome: Outcome) -> Iterator[str]:
    """The images that one network of each kind is most sure about, and wrong.

    Args:
        outcome: What was measured on one data set.

    Yields:
        HTML.
    """
    assert outcome.images is not None
    yield _note("Test images as they are; below each its class, what it is taken for, and with which probability.")
    for name, judged in outcome.judged.items():
        shown = f"the surest {len(judged.mistakes)} of " if judged.wrong > len(judged.mistakes) else ""
        yield f"<h4>{escape(name)}: {shown}{count(judged.wrong, 'mistake')} on {len(outcome.images):,} images</h4>"
        if judged.mistakes:
            yield f'<ul class="mistakes">{"".join(_mistake(one, outcome.images) for one in judged.mistakes)}</ul>'


def _mistake(mistake: Mistake, images: ImageSet) -> str:
    """One picture with its classes."""
    true, taken = (images.classes[k] for k in (mistake.true, mistake.predicted))
    pixels = images.images[mistake.index].permute(1, 2, 0).cpu().numpy()
    buffer = io.BytesIO()
    import_plotting("PIL.Image").fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels).save(buffer, "PNG")
    picture = image(buffer.getvalue(), "png", f"Test image {mistake.index}: {true}, taken for {taken}.")
    percent = min(99.9, 100 * mistake.confidence)  # 100.0 would claim certainty
    return f"<li>{picture}{escape(true)} &rarr; {escape(taken)}<br><small>{percent:.1f}&nbsp;%</small></li>"


def _tested(outcome: Outcome) -> tuple[list[Kind], list[Look]]:
    """The kinds that have a finished run, and their looks."""
    looks = zip(outcome.kinds, looks_of(outcome.kinds), strict=True)
    kept = [(kind, look) for kind, look in looks if kind.finished]
    return [kind for kind, _ in kept], [look for _, look in kept]


def _legend(kinds: Sequence[Kind], looks: Sequence[Look]) -> str:
    """Names beside their lines; text, so that it wraps on a phone."""
    items = []
    for kind, look in zip(kinds, looks, strict=True):
        dashes = "" if look.dashes == "-" else " ".join(f"{look.width * length:g}" for length in look.dashes[1])
        line = (
            f'<line x1="0" y1="4" x2="38" y2="4" stroke="{look.color}" stroke-width="2.6" stroke-dasharray="{dashes}"/>'
        )
        items.append(f'<li><svg viewBox="0 0 38 8" aria-hidden="true">{line}</svg>{escape(kind.name)}</li>')
    return f'<ul class="legend">{"".join(items)}</ul>'


def _svg(figure: "Figure", alt: str, *, width: int = 60, dense: bool = False) -> str:
    return image(render(figure, "svg"), "svg+xml", alt, width=width, dense=dense)


def _figure(content: str, caption: str = "") -> str:
    words = f"\n<figcaption>{prose(caption)}</figcaption>" if caption else ""
    return f'<figure>\n<div class="card">{content}</div>{words}\n</figure>'


def _note(text: str) -> str:
    return f'<p class="note">{prose(text)}</p>'
