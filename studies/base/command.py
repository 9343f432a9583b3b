"""How a study runs on the terminal: it resumes, and writes its record when it is whole."""

from collections.abc import Callable
from pathlib import Path

from orbitconv._support.files import check_writable
from orbitconv._support.progress import ProgressCallback
from orbitconv.cli.terminal import Terminal
from orbitconv.figures.drawing import check_libraries
from orbitconv.records.record import Record


def run_study(
    out: Path, results: Path | None, terminal: Terminal, work: Callable[[ProgressCallback], Record]
) -> Record:
    """Run a study that keeps its own parts, and write its record when it is whole."""
    check_libraries()
    check_writable(results, "--results")
    with terminal.progress() as progress:
        record = work(progress)
    for path in (out / f"{record.study}.json", results):
        if path is not None:
            record.write(path)
    return record
