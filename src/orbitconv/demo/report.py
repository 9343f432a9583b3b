"""The page of the demo: the tables and charts of every report, a digit that turns, and the errors of the bases."""

import statistics
from collections.abc import Iterator, Mapping
from html import escape
from pathlib import Path

from jaxtyping import Float
from torch import Tensor

from orbitconv._support.files import write_atomically
from orbitconv._support.progress import ProgressCallback, silent
from orbitconv.demo import pictures
from orbitconv.demo.demo import Outcome
from orbitconv.evaluation.network_facts import group_of
from orbitconv.figures.drawing import (
    Curve,
    angle_figure,
    check_libraries,
    family_name,
    film,
    looks,
    render,
    write_figure,
)
from orbitconv.models import count_multiply_adds
from orbitconv.records.grouping import by_columns
from orbitconv.report.html import document, image, number, prose, table
from orbitconv.report.measure import Measured, Tested, convolution_errors
from orbitconv.report.page import origin, section
from orbitconv.report.sections import angle_chart, figure, filter_sheets, layer_chart, note
from orbitconv.report.tables import column_table, cost_columns, error_columns
from orbitconv.report.words import listed, lowest, spread_note

_HEADING = "Digits at angles the networks never saw"

# Digits on which the equivariance of layers is measured.
_DIGITS = 50


def tested(outcome: Outcome) -> list[Tested]:
    """The networks of a demo as a report shows them, an entry a family.

    Layers are measured on that of the first seed.
    """
    families = by_columns(outcome.record.rows, "family")
    appearance = looks([family for (family,) in families])
    digits = _digits(outcome, _DIGITS)
    return [
        Tested(
            name=family_name(family, str(rows[0]["group"])),
            look=appearance[family],
            measured=(measured := _measured(outcome, family, rows, digits)),
            errors=[one.error for one in measured],
            seconds=[float(own[0]["seconds"]) for own in by_columns(rows, "seed").values()],
            network=outcome.networks[family],
        )
        for (family,), rows in families.items()
    ]


def _measured(
    outcome: Outcome, family: str, rows: list[Mapping[str, object]], digits: Float[Tensor, "b c h w"]
) -> list[Measured]:
    """What the tests of one family gave, for each seed."""
    network, found = outcome.networks[family], []
    for own in by_columns(rows, "seed").values():
        errors = {test: float(row["test_error_percent"]) for (test,), (row, *_) in by_columns(own, "test").items()}
        angles = by_columns(own, "test").get(("angle",), [])
        found.append(
            Measured(
                parameters=int(own[0]["parameters"]),
                multiply_adds=count_multiply_adds(network, tuple(digits.shape[1:])),
                group=group_of(network),
                layers={} if found else convolution_errors(network, digits),
                error=errors["upright"],
                random_error=errors["rotated"],
                by_angle={int(row["degrees"]): float(row["test_error_percent"]) for row in angles},
            )
        )
    return found


def write_report(outcome: Outcome, folder: Path, progress: ProgressCallback = silent) -> Path:
    """Write report.html, demo.json and the pictures as files; matplotlib and Pillow must be there."""
    check_libraries()
    outcome.record.write(folder / "demo.json")
    networks, config, record = tested(outcome), outcome.record.config, outcome.record.as_dict()
    curves = [Curve(points=one.by_angle, look=one.look, name=one.name) for one in networks]
    write_figure(angle_figure(curves, "digits"), folder, "error_against_angle")
    caption = (
        f"Networks of about {config['parameters']:,} parameters, trained on {config['train_images']:,} upright digits"
    )
    head = (
        f'<header>\n<h1>{escape(_HEADING)}</h1>\n<p class="finding">{prose(_finding(networks))}</p>\n</header>\n'
        + column_table(
            caption,
            {"network": [escape(one.name) for one in networks], **error_columns(networks), **cost_columns(networks)},
        )
        + note(f"Errors on {config['test_images']:,} test digits. {spread_note(networks, config['test_images'])}")
    )
    turned = [one for one in networks if one.measured[0].group is not None]
    sections = {
        "Error against the angle of the digits": lambda: iter(
            [angle_chart(networks, f"The first {config['curve_images']:,} test digits", "digits")]
        ),
        "How filters turn": lambda: filter_sheets(turned),
        "A digit turns, and its feature maps with it": lambda: _turning(outcome, folder),
        "Equivariance, layer by layer": lambda: iter([layer_chart(networks, min(_DIGITS, len(outcome.digits)))]),
        "The errors of the bases": lambda: _bases(outcome),
    }
    parts = [head]
    for done, (title, make) in enumerate(sections.items()):
        progress("write the report", done, len(sections))
        parts.append(section(title, make()))
    parts.append(origin(record))
    parts.append('<p>The same numbers are in <a href="demo.json">demo.json</a>, beside this file.</p>\n')
    path = folder / "report.html"
    write_atomically(path, document(f"orbitconv: {_HEADING.lower()}", "\n".join(parts), record))
    progress("write the report", len(sections), len(sections))
    return path


def _finding(networks: list[Tested]) -> str:
    """The outcome in words, whatever it is."""
    plain = next(one for one in networks if one.measured[0].group is None)
    return (
        f"All networks were trained on upright digits only. {lowest(networks, 'at random angles', _at_random)} "
        f"The {plain.name} has {statistics.fmean(_at_random(plain)):.2f} %."
    )


def _at_random(one: Tested) -> list[float]:
    return one.random_errors


def _turning(outcome: Outcome, folder: Path) -> Iterator[str]:
    """A digit that turns beside its feature maps: moving and still."""
    groups = {str(row["family"]): str(row["group"]) for row in outcome.record.rows}
    names = {family: family_name(family, groups[family]) for family in (pictures.learned_family(outcome), "plain")}
    digit = pictures.clear_digit(_digits(outcome, len(outcome.digits)))
    eighths, frames = (
        {f: pictures.follow(outcome.networks[f], digit, degrees) for f in names}
        for degrees in (pictures.EIGHTHS, pictures.FRAMES)
    )
    strips = pictures.strips(digit, eighths, names, pictures.EIGHTHS)
    still_film = render(film(strips, pictures.EIGHTHS), "png")
    moving, still = pictures.animation(digit, frames, names, pictures.FRAMES)
    (folder / "turning.png").write_bytes(still_film)
    (folder / "turning.webp").write_bytes(moving)
    alt = f"A digit turns; beside it a feature map of the network {' and one of the '.join(names.values())}."
    yield (
        "<p>A network recognises a turned image that it has not seen only if its features turn with the input. This is "
        "one channel after the first convolution of two networks: the channel that depends most on direction.</p>"
    )
    yield figure(
        image(moving, "webp", alt, width=39, still=still),
        "Above, as the networks see it; below, turned back upright: what turns with the digit stands still there. "
        "Between two group elements the animation blends their maps.",
    )
    yield figure(
        image(still_film, "png", f"Film strip. {alt}", width=54, dense=True),
        "The map at a fixed group element changes with the angle, as a plain network's does, but its content moves to "
        "the group element that follows the turn. Turned back, a map that only turns is the same in every tile. The "
        "numbers are its distance from that, relative to its size (the equivariance error of this one channel, which "
        f"is harder to turn than most). Mean: {_film_errors(eighths, names)}.",
    )


def _film_errors(seen: Mapping[str, pictures.Follow], names: Mapping[str, str]) -> str:
    """The mean errors of the maps in the film."""
    return listed(
        [
            f"{names[family]} {statistics.fmean(one.errors[1::2]):.2f} at the odd eighths and "
            f"{statistics.fmean(one.errors[2::2]):.2f} at the other quarter turns"
            for family, one in seen.items()
        ]
    )


_BASIS_COLUMNS = (
    ("num_atoms", "atoms", "coefficients of a filter; 9 atoms make every 3x3 filter"),
    ("error_45_degrees", "error at 45°", "distance of filtering a turned image from turning the filtered image"),
    ("error_90_degrees", "error at 90°", "the same for a quarter turn, which can be exact on a square grid"),
    ("unitarity_error", "unitarity", "how far turning is from keeping norms and angles between filters"),
    (
        "group_law_error",
        "group law",
        "distance of two turns in a row from one turn by the sum of their angles; complete bases only",
    ),
)


def _bases(outcome: Outcome) -> Iterator[str]:
    """The table of bases."""
    facts = outcome.record.extra
    rows = [
        [
            escape(family_name(str(basis["family"]), str(basis["group"]))),
            *(str(basis[key]) if key == "num_atoms" else number(basis[key]) for key, _, _ in _BASIS_COLUMNS),
        ]
        for basis in facts["bases"]
    ]
    yield (
        f"<p>The learned bases were fitted in closed form to {facts['fit_images']:,} upright digits, in "
        f"{facts['fit_seconds']:.1f} seconds. The errors have no unit and 0 is best; those at 45° and 90° are measured "
        "on test digits.</p>"
    )
    yield table(
        "How well each basis turns filters (largest over the group for unitarity and group law)",
        ("basis", *(name for _, name, _ in _BASIS_COLUMNS)),
        rows,
    )
    meanings = "".join(f"<dt>{escape(name)}:</dt> <dd>{escape(words)}.</dd>\n" for _, name, words in _BASIS_COLUMNS)
    yield f"<dl>\n{meanings}</dl>"


def _digits(outcome: Outcome, count: int) -> Float[Tensor, "b c h w"]:
    """The first digits, where the networks are."""
    device = next(outcome.networks["plain"].parameters()).device
    return outcome.digits.take(min(count, len(outcome.digits))).floats().to(device)
