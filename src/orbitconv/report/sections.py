"""The sections of a report on runs, as HTML."""

from collections.abc import Iterator, Sequence
from html import escape
from typing import TYPE_CHECKING

from orbitconv.data import ImageSet
from orbitconv.evaluation.network_facts import measured_group
from orbitconv.figures.drawing import Curve, angle_figure, render
from orbitconv.prediction.mask_files import encoded
from orbitconv.records.grouping import group_by
from orbitconv.report.figures import (
    FLOOR,
    layer_figure,
    layer_points,
    learning_figures,
    shows_bands,
)
from orbitconv.report.filters import orbit_figure
from orbitconv.report.html import image, prose
from orbitconv.report.measure import LAYER_IMAGES, Tested
from orbitconv.report.mistakes import Mistake
from orbitconv.report.outcome import Outcome
from orbitconv.report.tables import confusion_table, side_by_side
from orbitconv.report.words import angle_note, count, listed

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def learning_curves(outcome: Outcome) -> Iterator[str]:
    """Loss and errors against the epoch, of all runs."""
    networks = outcome.tested
    panels = [
        svg(drawn, f"{words} of every network against the epoch.".capitalize(), width=34)
        for words, drawn in learning_figures(outcome.kinds, [one.look for one in networks])
    ]
    if panels:
        content = f'{legend(networks)}<div class="panels">{"".join(panels)}</div>'
        yield figure(content, f"Each line is the mean over the runs that have reached the epoch.{_bands(networks)}")
    else:
        yield "<p>No run has finished an epoch yet.</p>"


def angle_curves(outcome: Outcome) -> Iterator[str]:
    """Error against the angle of the test images."""
    if outcome.turned_already:
        yield note(
            f"Every test image of {outcome.data} is turned by an angle of its own already, so the test error is the "
            "error at random angles. There is no curve: to turn the images once more would blur them twice."
        )
        return
    assert outcome.images is not None
    yield angle_chart(outcome.tested, f"The first {len(outcome.images):,} test images")


def angle_chart(networks: Sequence[Tested], what: str, images: str = "images") -> str:
    """A chart of error against angle with its legend and caption."""
    tested = [one for one in networks if one.by_angle]
    curves = [Curve(points=one.by_angle, look=one.look, band=shows_bands(tested)) for one in tested]
    alt = f"Test error of every network against the angle of the test {images}."
    return figure(
        legend(tested) + svg(angle_figure(curves, images), alt, dense=True),
        f"{what}, all turned by the same angle with a cubic spline. {angle_note(tested)}{_bands(tested)}",
    )


def layer_curves(outcome: Outcome) -> Iterator[str]:
    """Equivariance error, layer by layer."""
    assert outcome.images is not None
    tested = [one for one in outcome.tested if one.measured]
    free = [
        kind.name
        for kind in outcome.kinds
        if kind.finished and kind.settings.get("network.options.pool_group") == "none"
    ]
    yield layer_chart(tested, min(LAYER_IMAGES, len(outcome.images)), free)


def layer_chart(networks: Sequence[Tested], images: int, free: Sequence[str] = ()) -> str:
    """A chart of the equivariance error of every layer with its legend and caption."""
    alt = "Equivariance error of every layer of every network."
    points, looks = [layer_points(one.measured) for one in networks], [one.look for one in networks]
    but = f", except those of {listed(free)}, whose last layer sees every copy of a field" if free else ""
    return figure(
        legend(networks) + svg(layer_figure(points, looks), alt, dense=True),
        "Distance of a layer's output for the turned image from its turned output for the image, relative to its size. "
        f"The scores at the end should not change{but}. Mean over all elements of the group except the identity, on "
        f"{images} test images; values below {FLOOR:g} are drawn there. {_groups(networks)}{_bands(networks)}",
    )


def _bands(networks: Sequence[Tested]) -> str:
    """What a band is, where there is one."""
    shown = shows_bands(networks) and any(len(one.measured) > 1 for one in networks)
    return " A band is the standard deviation over seeds." if shown else ""


def _groups(networks: Sequence[Tested]) -> str:
    """Under which groups the layers are measured, and what that means."""
    own = {one.name: one.measured[0].group for one in networks}
    under = group_by(own, lambda name: str(measured_group(own[name])))
    text = f"Under {listed([f'{group} ({listed(names)})' for group, names in under.items()])}."
    if None in own.values():
        text += " A plain network has no group of its own: its feature maps are turned only."
    if len(under) > 1:
        text += " Compare lines under the same group: quarter turns, which the grid allows exactly, are the easiest."
    return text


def first_layer(outcome: Outcome) -> Iterator[str]:
    """The filters of the first layer of one network of each kind."""
    return filter_sheets(outcome.tested)


def filter_sheets(networks: Sequence[Tested]) -> Iterator[str]:
    """The filters of the first layer of networks, turned by every element of their group."""
    yield note(
        "The strongest filters of the first layer, from one network of each kind, summed over the channels of the "
        "image. Each has norm 1 at the identity: where the norm falls, the filter answers less at that angle."
    )
    for one in networks:
        sheet = None if one.network is None else orbit_figure(one.network)
        if sheet is not None:
            inches = sheet.get_figwidth()
            alt = f"Filters of the first layer of {one.name}, turned by every element of its group."
            picture = image(render(sheet, "png"), "png", alt, width=round(7 * inches), dense=inches > 6)
            yield f"<h4>{escape(one.name)}</h4>\n{figure(picture)}"


def confusions(outcome: Outcome) -> Iterator[str]:
    """Which classes one network of each kind takes for which."""
    assert outcome.images is not None
    yield note(
        f"The first {len(outcome.images):,} test images, by their class (rows) and the class that one network of each "
        "kind takes them for (columns). The stronger the colour, the larger the share of the class."
    )
    for name, judged in outcome.judged.items():
        tables = [confusion_table(f"{name}: images as they are", judged.confusion, outcome.images.classes)]
        if judged.confusion_turned is not None:
            caption = f"{name}: at random angles"
            tables.append(confusion_table(caption, judged.confusion_turned, outcome.images.classes))
        yield side_by_side(tables, outcome.images.classes)


def mistakes(outcome: Outcome) -> Iterator[str]:
    """The images that one network of each kind is most sure about, and wrong."""
    assert outcome.images is not None
    yield note("Test images as they are; below each its class, what it is taken for, and with which probability.")
    for name, judged in outcome.judged.items():
        shown = f"the surest {len(judged.mistakes)} of " if judged.wrong > len(judged.mistakes) else ""
        yield f"<h4>{escape(name)}: {shown}{count(judged.wrong, 'mistake')} on {len(outcome.images):,} images</h4>"
        if judged.mistakes:
            yield f'<ul class="mistakes">{"".join(_mistake(one, outcome.images) for one in judged.mistakes)}</ul>'


def _mistake(mistake: Mistake, images: ImageSet) -> str:
    """One picture with its classes."""
    true, taken = (images.classes[k] for k in (mistake.true, mistake.predicted))
    pixels = images.images[mistake.index].permute(1, 2, 0).cpu().numpy()
    content = encoded(pixels[..., 0] if pixels.shape[-1] == 1 else pixels, "png")
    picture = image(content, "png", f"Test image {mistake.index}: {true}, taken for {taken}.")
    percent = min(99.9, 100 * mistake.confidence)  # 100.0 would claim certainty
    return f"<li>{picture}{escape(true)} &rarr; {escape(taken)}<br><small>{percent:.1f}&nbsp;%</small></li>"


def legend(networks: Sequence[Tested]) -> str:
    """Names beside their lines, as text that wraps on a narrow screen."""
    items = []
    for one in networks:
        look = one.look
        dashes = "" if look.dashes == "-" else " ".join(f"{look.width * length:g}" for length in look.dashes[1])
        line = (
            f'<line x1="0" y1="4" x2="38" y2="4" stroke="{look.color}" stroke-width="2.6" stroke-dasharray="{dashes}"/>'
        )
        items.append(f'<li><svg viewBox="0 0 38 8" aria-hidden="true">{line}</svg>{escape(one.name)}</li>')
    return f'<ul class="legend">{"".join(items)}</ul>'


def svg(drawn: "Figure", alt: str, *, width: int = 60, dense: bool = False) -> str:
    """A drawing inside the page, at most `width` rem wide; a dense one scrolls on a narrow screen.

    `alt` says what it shows, for those who do not see it.
    """
    return image(render(drawn, "svg"), "svg+xml", alt, width=width, dense=dense)


def figure(content: str, caption: str = "") -> str:
    """A picture on a card with its caption."""
    words = f"\n<figcaption>{prose(caption)}</figcaption>" if caption else ""
    return f'<figure>\n<div class="card">{content}</div>{words}\n</figure>'


def note(text: str) -> str:
    """A paragraph in small print."""
    return f'<p class="note">{prose(text)}</p>'
