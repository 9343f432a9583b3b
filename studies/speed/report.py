"""The record of a benchmark, and the page and figures that are made from it, as files beside each other."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from orbitconv._support.files import check_replaceable, check_writable, write_atomically
from orbitconv.figures.drawing import render
from studies.speed.figures import ratios_figure, scaling_figure
from studies.speed.tables import markdown


def check_place(path: Path, *, overwrite: bool) -> None:
    """Fail now rather than after the work, if a record could not be written."""
    if path.suffix != ".json" or path.is_dir():
        raise ValueError(f"--out expects a file ending in .json, got {path}{', a folder' * path.is_dir()}.")
    for file in (path, *_beside(path)):
        check_replaceable(file, overwrite=overwrite)
    check_writable(path, "--out")


def write_report(record: Mapping[str, Any], path: Path) -> list[Path]:
    """Write the page and the figures of a record, each in one step, after all of them are drawn."""
    page, *pictures = _beside(path)
    files: dict[Path, str | bytes] = {page: markdown(record)}
    figures = [ratios_figure(record)] * 2 + [scaling_figure(record)] * 2
    for file, figure in zip(pictures, figures, strict=True):
        if figure is None:
            file.unlink(missing_ok=True)  # of a result that this one replaces
        else:
            files[file] = render(figure, file.suffix[1:])
    for file, content in files.items():
        write_atomically(file, content)
    return list(files)


def _beside(path: Path) -> list[Path]:
    """Page, figure of ratios twice, figure of curves twice."""
    names = (".md", ".png", ".svg", "-scaling.png", "-scaling.svg")
    return [path.with_name(f"{path.stem}{name}") for name in names]
