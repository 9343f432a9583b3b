"""The sections of a report that are about pictures of one's own, as HTML."""

from collections.abc import Iterator, Sequence
from html import escape

from orbitconv.report.html import image, number, table
from orbitconv.report.measure import LAYER_IMAGES
from orbitconv.report.outcome import Outcome
from orbitconv.report.sections import angle_chart, layer_chart, note
from orbitconv.report.tables import confusion_table, side_by_side

_FIGURES = {
    "balanced_accuracy": "balanced accuracy", "mean_f1": "mean F1", "mean_iou": "mean IoU", "mean_dice": "mean Dice",
    "pixel_error_percent": "wrong pixels, %",
}  # fmt: skip
_OBJECTS = {"object_f1": "F1 of connected parts", "object_f1_watershed": "F1 of parts cut by a watershed"}
_EACH = {"iou": "IoU", "dice": "Dice", "f1": "F1", "recall": "recall"}


def angle_curves(outcome: Outcome) -> Iterator[str]:
    """Error against the angle of the test pictures."""
    pictures = next(iter(outcome.own.values())).pictures
    yield angle_chart(outcome.tested, f"The largest middle squares of {pictures:,} test pictures", "pictures")


def changes(outcome: Outcome) -> Iterator[str]:
    """How far the answer of each network changes as the pictures turn."""
    yield note(
        "Error, in %, of the answer for the turned picture against the network's own answer for the picture before it "
        "is turned, turned: 0 where the answer turns with the picture, whether it is right or not."
    )
    angles = list(next(iter(outcome.own.values())).found["changed_at"])
    rows = [
        [
            escape(name),
            *(f"{own.found['changed_at'][one]:.2f}" for one in angles),
            f"{own.found['changed_random']:.2f}",
        ]
        for name, own in outcome.own.items()
    ]
    yield table("Change of the answer by angle", ["network", *(f"{one}°" for one in angles), "random"], rows)


def layer_curves(outcome: Outcome) -> Iterator[str]:
    """Equivariance error, layer by layer."""
    pictures = next(iter(outcome.own.values())).pictures
    yield layer_chart([one for one in outcome.tested if one.measured], min(LAYER_IMAGES, pictures))


def classes(outcome: Outcome) -> Iterator[str]:
    """All figures of one network of each kind, those of each class, and which classes are taken for which."""
    first = next(iter(outcome.own.values()))
    shown = {key: words for key, words in _FIGURES.items() if key in first.found}
    objects = {key: words for key, words in _OBJECTS.items() if key in first.found}
    head = ["network", *shown.values(), *(f"{w}, IoU {at}" for key, w in objects.items() for at in first.found[key])]
    rows = [
        [
            escape(name),
            *(_cell(own.found[key]) for key in shown),
            *(_cell(value) for key in objects for value in own.found[key].values()),
        ]
        for name, own in outcome.own.items()
    ]
    yield table("Test pictures, one network of each kind", head, rows)
    for name, own in outcome.own.items():
        each = {words: own.found[key] for key, words in _EACH.items() if key in own.found}
        yield table(name, ["class", *each], _by_class(own.classes, list(each.values())))
        if "confusion" in own.found:
            unit = "pixels" if own.masks else "pictures"
            caption = f"{name}: {unit} of each class (rows) by what they are taken for"
            yield side_by_side([confusion_table(caption, own.found["confusion"], own.classes)], own.classes)


def examples(outcome: Outcome) -> Iterator[str]:
    """The pictures that one network of each kind gets most wrong."""
    masks = next(iter(outcome.own.values())).masks
    yield note(
        "Each picture alone, with the mask of the network, and with the true mask."
        if masks
        else "Below each picture its class, what it is taken for, and the highest probability that the network gives."
    )
    for name, own in outcome.own.items():
        yield f"<h4>{escape(name)}</h4>"
        if masks:
            alt = "Picture, mask of the network, true mask."
            yield "\n".join(
                f"<figure>{image(one.png, 'png', alt)}<figcaption>{escape(one.caption)}</figcaption></figure>"
                for one in own.examples
            )
        else:
            items = (f"<li>{image(one.png, 'png', one.caption)}{escape(one.caption)}</li>" for one in own.examples)
            yield f'<ul class="mistakes">{"".join(items)}</ul>'


def _by_class(names: Sequence[str], columns: Sequence[Sequence[float]]) -> list[list[str]]:
    """A row for each class."""
    rows = zip(names, *columns, strict=True)
    return [[escape(str(name)), *map(_cell, values)] for name, *values in rows]


def _cell(value: float) -> str:
    """A figure; a dash where it is not defined."""
    return number(None if value != value else value)
