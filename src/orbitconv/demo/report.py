"""The report of the main job: one HTML file that needs nothing else, the record, and the pictures as files."""

import json
from collections.abc import Sequence
from html import escape
from pathlib import Path

import numpy as np
from jaxtyping import Float
from torch import Tensor

from orbitconv._support.files import write_atomically
from orbitconv._support.progress import ProgressCallback, silent
from orbitconv.demo import pictures
from orbitconv.demo.demo import Outcome
from orbitconv.demo.findings import Result, caution, curve_caption, film_caption, finding, results
from orbitconv.figures import drawing as figures
from orbitconv.report.html import best_cells, document, facts_table, image, number, pairs, prose, table, template
from orbitconv.report.words import listed

_HEADING = "Digits at angles the networks never saw"
_TITLE = f"orbitconv: {_HEADING[0].lower()}{_HEADING[1:]}"

# Digits on which the equivariance of layers is measured.
_DIGITS = 100


def write_report(outcome: Outcome, folder: Path, progress: ProgressCallback = silent) -> Path:
    """Write report.html, demo.json and the pictures as files.

    Args:
        outcome: What the demo left: a plain family, and at least one with a basis.
        folder: Folder to write into, which exists.
        progress: Called as the work goes on.

    Returns:
        The report.

    Raises:
        ModuleNotFoundError: If matplotlib or Pillow is missing; says which extra brings it.
        OSError: If the folder cannot be written.
    """
    figures.check_libraries()
    outcome.record.write(folder / "demo.json")
    parts = (_result_parts, _orbit_parts, _turning_parts, _layer_parts, _basis_parts, _record_parts)
    places: dict[str, str] = {}
    for step, part in enumerate(parts):
        progress("write the report", step, len(parts))
        places |= part(outcome, folder)
    path = folder / "report.html"
    body = template("demo/report_template.html").substitute(places)
    write_atomically(path, document(_TITLE, body, outcome.record.as_dict()))
    progress("write the report", len(parts), len(parts))
    return path


def _result_parts(outcome: Outcome, folder: Path) -> dict[str, str]:
    """Title, finding, table and curve."""
    found = results(outcome.record.rows)
    figure = figures.error_against_angle(outcome.record.rows)
    (folder / "error_against_angle.png").write_bytes(figures.render(figure, "png"))
    curve = figures.render(figure, "svg")
    (folder / "error_against_angle.svg").write_bytes(curve)
    return {
        "heading": escape(_HEADING),
        "finding": prose(finding(found)),
        "results": _result_table(found, outcome.record.config.get("train_images")),
        "note": prose(caution(found, int(outcome.record.config["test_images"]))),
        "curve": image(curve, "svg+xml", "Test error of every network against the angle of the digits.", dense=True),
        "curve_caption": prose(curve_caption(outcome.record.rows)),
    }


def _result_table(found: Sequence[Result], train_images: object) -> str:
    """One row a family, the best value of each column emphasised."""
    columns: list[Sequence[Sequence[float | int]]] = [
        [[r.parameters] for r in found], [r.upright for r in found], [r.turned for r in found],
        [r.seconds for r in found],
    ]  # fmt: skip
    cells = [best_cells(values, digits) for values, digits in zip(columns, (0, 1, 1, 1), strict=True)]
    rows = [[escape(r.name), *row] for r, row in zip(found, zip(*cells, strict=True), strict=True)]
    caption = f"Networks of the same size, trained on {train_images:,} upright digits"
    head = ("network", "parameters", "error upright, %", "error at random angles, %", "training, s")
    return table(caption, head, rows)


def _orbit_parts(outcome: Outcome, folder: Path) -> dict[str, str]:
    """The pictures of turned filters."""
    learned = pictures.learned_family(outcome)
    group = outcome.bases[learned].group
    others = [name for name, basis in outcome.bases.items() if name != learned and basis.group == group]
    words = {name: name for name in others[:1]} | {learned: "learned"}
    orbits = pictures.trained_orbits(outcome, list(words))
    degrees = [360 * g / group.order for g in range(group.order)]
    picture = figures.render(figures.filter_orbits({words[n]: tiles for n, tiles in orbits.items()}, degrees), "png")
    (folder / "orbits.png").write_bytes(picture)
    kept = []
    for name, tiles in orbits.items():
        norms = np.linalg.norm(tiles, axis=(2, 3))[:, 1::2]
        low, high = norms.min(), norms.max()
        span = f"{low:.2f}" if f"{low:.2f}" == f"{high:.2f}" else f"{low:.2f} to {high:.2f}"
        kept.append(f"{span} of their norm with the {words[name]} basis")
    count, turners = len(next(iter(orbits.values()))), listed([f"the {name} basis" for name in words.values()])
    alt = "Filters as pixels at every angle, turned by each basis."
    return {
        "orbits_lead": escape(
            f"To turn a filter, a network keeps its coefficients and switches the basis. Here are the first {count} "
            f"filters of the trained learned network, each turned by {turners}. Below each tile stands its norm."
        ),
        "orbits": image(picture, "png", alt, width=43, dense=True),
        "orbits_caption": escape(
            f"At the odd eighths of a turn the filters have {listed(kept)}. A filter that fades answers less at some "
            "angles than at others; a unitary basis keeps every norm."
            if group.order == 8
            else f"At every second angle the filters have {listed(kept)}."
        ),
    }


def _turning_parts(outcome: Outcome, folder: Path) -> dict[str, str]:
    """A digit that turns beside its feature maps: moving and still."""
    found = {r.family: r.name for r in results(outcome.record.rows)}
    names = {f: found[f].partition(" (")[0] for f in (pictures.learned_family(outcome), "plain")}
    digit = pictures.clear_digit(_digits(outcome, len(outcome.digits)))
    eighths, frames = (
        {f: pictures.follow(outcome.networks[f], digit, degrees) for f in names}
        for degrees in (pictures.EIGHTHS, pictures.FRAMES)
    )
    strips = pictures.strips(digit, eighths, names, pictures.EIGHTHS)
    film = figures.render(figures.film(strips, pictures.EIGHTHS), "png")
    moving, still = pictures.animation(digit, frames, names, pictures.FRAMES)
    (folder / "turning.png").write_bytes(film)
    (folder / "turning.webp").write_bytes(moving)
    alt = "A digit turns; beside it a feature map of the learned network and one of the plain network."
    return {
        "turning_lead": escape(
            "A network can only recognise what it has not seen turned if its features turn with the input. Here is one "
            "channel after the first convolution of two networks: the channel that depends most on direction."
        ),
        "moving": image(moving, "webp", alt, width=39, still=still),
        "moving_caption": escape(
            "Above, as the networks see it; below, turned back upright: what turns with the digit stands still there. "
            "Between two group elements the animation blends their maps."
        ),
        "film": image(film, "png", f"Film strip. {alt}", width=54, dense=True),
        "film_caption": prose(film_caption(eighths, names)),
    }


def _layer_parts(outcome: Outcome, folder: Path) -> dict[str, str]:  # noqa: ARG001
    """The equivariance error of the layer in the pictures, all channels, of every network."""
    digits = _digits(outcome)
    rows = []
    for r in results(outcome.record.rows):
        errors = [pictures.layer_error(outcome.networks[r.family], digits, degrees) for degrees in (45, 90)]
        rows.append([escape(r.name), *(f"not in {r.name.split()[-1]}" if e is None else number(e) for e in errors)])
    caption = f"Equivariance error of that layer, all channels, over {len(digits)} digits (0: the maps only turn)"
    return {"layers": table(caption, ("network", "at 45°", "at 90°"), rows)}


_BASIS_COLUMNS = (
    ("num_atoms", "atoms", "how many coefficients a filter has; 9 atoms make every 3x3 filter"),
    ("error_45_degrees", "error at 45°", "how far filtering a turned image is from turning the filtered image"),
    ("error_90_degrees", "error at 90°", "the same for a quarter turn, which can be exact on a square grid"),
    ("unitarity_error", "unitarity", "how far turning is from keeping norms and angles between filters"),
    (
        "group_law_error",
        "group law",
        "how far two turns in a row are from one by the sum of their angles; complete bases only",
    ),
)


def _basis_parts(outcome: Outcome, folder: Path) -> dict[str, str]:  # noqa: ARG001
    """The table of bases."""
    facts = outcome.record.extra
    rows = [
        [
            escape(figures.family_name(str(basis["family"]), str(basis["group"]))),
            *(str(basis[key]) if key == "num_atoms" else number(basis[key]) for key, _, _ in _BASIS_COLUMNS),
        ]
        for basis in facts["bases"]
    ]
    meanings = "".join(f"<dt>{escape(name)}:</dt> <dd>{escape(words)}.</dd>\n" for _, name, words in _BASIS_COLUMNS)
    return {
        "bases_lead": escape(
            f"The learned bases were fitted in closed form to {facts['fit_images']:,} upright digits, in "
            f"{facts['fit_seconds']:.1f} seconds. The errors have no unit and 0 is best; those at 45° and 90° are "
            "measured on test digits."
        ),
        "bases": table(
            "How well each basis turns filters (largest over the group for unitarity and group law)",
            ("basis", *(name for _, name, _ in _BASIS_COLUMNS)),
            rows,
        ),
        "columns": f"<dl>\n{meanings}</dl>",
    }


def _record_parts(outcome: Outcome, folder: Path) -> dict[str, str]:  # noqa: ARG001
    """How the numbers came about, and the numbers."""
    text = (folder / "demo.json").read_text(encoding="utf-8")
    data = json.loads(text)
    facts = {
        "commit": data["commit"] or "not run from a checkout",
        "versions": pairs(data["versions"]),
        "machine": pairs(data["machine"]),
        "settings": pairs(data["config"]),
    }
    return {
        "command": escape(data["command"]),
        "facts": facts_table("Where the numbers come from", facts),
        "json": escape(text),
    }


def _digits(outcome: Outcome, count: int = _DIGITS) -> Float[Tensor, "b c h w"]:
    """The digits that layers are shown and measured on, where the networks are."""
    device = next(outcome.networks["plain"].parameters()).device
    return outcome.digits.take(min(count, len(outcome.digits))).floats().to(device)
