"""The page: its template, style, program, drawing libraries and numbers, in one file."""

import json
from collections.abc import Callable, Sequence
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path

from orbitconv._support.files import write_atomically
from orbitconv.explorer.scenes import read_scenes
from orbitconv.explorer.shown import names, shown_bases


def write_page(
    out: Path,
    own: Sequence[Path] = (),
    progress: Callable[[int, int], None] = lambda _done, _all: None,
) -> None:
    """Write the page, with files of bases beside those of the package: one file that needs no server and no network.

    Progress is called with the number of bases that are measured, and of all.
    """
    wanted = [*map(str, own), *names()]
    data = {"version": version("orbitconv"), "bases": list(shown_bases(wanted, progress)), **read_scenes()}
    write_atomically(out, page(data).encode())


def page(data: dict) -> str:
    """The text of the page, HTML, which shows some data that JSON can hold."""
    folder = files("orbitconv.explorer")
    parts = {
        "STYLE": folder.joinpath("page.css").read_text("utf-8"),
        "DATA": json.dumps(data, separators=(",", ":")).replace("</", "<\\/"),
        "LIBRARIES": "\n".join(
            folder.joinpath("vendor", name).read_text("utf-8") for name in ("d3.min.js", "plot.min.js")
        ),
        "PROGRAM": folder.joinpath("page.js").read_text("utf-8"),
    }
    text = folder.joinpath("page.html").read_text("utf-8")
    before, *rest = text.split("@@")
    return before + "".join(parts.get(piece, piece) for piece in rest)
