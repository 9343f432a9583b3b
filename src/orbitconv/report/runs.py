"""Find and read the run folders of `orbitconv train`."""

import math
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from orbitconv._support.json_text import read_json
from orbitconv.records.lines import parse_line
from orbitconv.records.metric_lines import METRICS, Row
from orbitconv.records.run_folder import CONFIG
from orbitconv.train import TrainConfig, read_config

MODEL = "model.safetensors"
"""File of a run once it is finished: the network."""


@dataclass(frozen=True, kw_only=True)
class Run:
    """One run: its folder as it was found, a row for each epoch so far, and whether its network has been written."""

    folder: Path
    config: TrainConfig
    rows: list[Row]
    finished: bool


def find_runs(paths: Sequence[Path]) -> list[Run]:
    """Read every run in some folders, each once, in natural order within each; links to folders are not followed."""
    folders: dict[Path, Path] = {}
    for path in paths:
        if not path.exists():
            raise FileNotFoundError(f"{path} is not there. Name the folder of a run, or one that holds several.")
        if not path.is_dir():
            raise NotADirectoryError(f"{path} is a file. Name the folder of the run, {path.parent}, instead.")
        found = list(_run_folders(path))
        if not found:
            raise ValueError(
                f"{path} holds no run of orbitconv train, which is a folder with {CONFIG} and {METRICS}. Name the "
                "--out of a training, or the folder of a study."
            )
        for folder in found:
            folders.setdefault(folder.resolve(), folder)
    return [read_run(folder) for folder in folders.values()]


def read_run(folder: Path) -> Run:
    """Read one run; the error says which settings or line are damaged."""
    finished = (folder / MODEL).exists()
    config = read_config(folder / CONFIG)
    return Run(folder=folder, config=config, rows=_read_rows(folder / METRICS, finished), finished=finished)


def _run_folders(path: Path) -> Iterator[Path]:
    """Folders of runs, the path itself among them; nothing is looked for inside of a run."""
    for name, inside, files in os.walk(path):
        folder = Path(name)
        if CONFIG in files and _is_training(folder / CONFIG):
            inside.clear()
            yield folder
        inside[:] = sorted((one for one in inside if not one.startswith(".")), key=_natural)


def _is_training(config: Path) -> bool:
    """Whether settings are those of `orbitconv train`; the training of a basis has a file of this name too."""
    try:
        settings = read_json(config)
    except ValueError as error:
        raise ValueError(f"{config} is damaged: {error}. Restore it, or move its folder out of the way.") from error
    return isinstance(settings, dict) and {"data", "network", "training"} <= settings.keys()


def _natural(name: str) -> list[tuple[int, str]]:
    """A key that puts seed-10 after seed-9."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", name)]


def _read_rows(path: Path, finished: bool) -> list[Row]:
    """The lines of all epochs; the last one of a run that is at work may be half-written, and is then left out."""
    if not path.exists():
        if finished:
            raise ValueError(f"{path} is missing: the network beside it is finished. Copy the whole folder of the run.")
        return []
    *lines, rest = path.read_text(encoding="utf-8").split("\n")
    if finished and rest:
        lines.append(rest)
    return [_parse(line, path, number) for number, line in enumerate(lines, start=1)]


def _parse(line: str, path: Path, number: int) -> Row:
    """One line: an epoch, a loss, and further figures."""
    try:
        row = parse_line(line, str(path))
        figures = {name: value for name, value in row.items() if math.isfinite(value)}
        if len(figures) == len(row) and isinstance(row["epoch"], int) and "loss" in row:
            return row
    except (ValueError, AttributeError, KeyError, TypeError):
        pass  # told below, as are values that are not finite
    shown = line if len(line) <= 60 else f"{line[:60]}..."
    raise ValueError(
        f"{path}, line {number} is damaged: expected a JSON object with epoch and loss and further finite numbers, got "
        f"{shown!r}. Restore the file, or leave this run out."
    )
