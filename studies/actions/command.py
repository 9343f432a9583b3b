"""`python -m studies learn-action`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.markup import escape
from rich.table import Table

from orbitconv._support.files import write_atomically
from orbitconv._support.progress import ProgressCallback
from orbitconv.cli.folder import fill_folder
from orbitconv.cli.terminal import Terminal
from orbitconv.figures.drawing import render
from orbitconv.records.record import Record
from studies.actions.figures import action_figure
from studies.actions.learn_action import LearnAction, learn_action, write_action


@dataclass(frozen=True, kw_only=True)
class LearnActionCommand(LearnAction):
    """Learn the matrix of any transformation of images from pairs (image, transformed image), in closed form.

    Shifts, turns, scaling, a mirror, colours, or a Python function of yours; it is not told where pixels lie. Writes
    the matrix (read it with orbitconv.learn.read_action), the figures and a picture to runs/learn-action, in seconds.
    """

    def run(self) -> None:
        """Learn, measure, draw."""

        def work(folder: Path, progress: ProgressCallback) -> Record:
            result = learn_action(self, progress)
            record = write_action(result, self, folder)
            figure = action_figure(result)
            for done, file_format in enumerate(("png", "svg"), start=1):
                write_atomically(folder / f"action.{file_format}", render(figure, file_format))
                progress("draw", done, 2)
            return record

        terminal = Terminal()
        record = fill_folder(self, terminal, work)
        terminal.console.print(_table(record.rows[0]))
        for note in record.extra["notes"]:
            terminal.say(f"Note: {escape(note)}")
        terminal.say(f"Matrix: {self.out / 'action.safetensors'}   Picture: {self.out / 'action.png'} (and .svg)")


def _table(facts: dict[str, Any]) -> Table:
    """The figures of a learned transformation."""
    columns = {
        "pairs": f"{facts['pairs']:,}",
        "features": f"{facts['features']:,}",
        "rank": f"{facts['rank']:,}",
        "error, held out": f"{facts['error']:.2e}",
        "doing nothing": f"{facts['error_of_doing_nothing']:.2g}",
        "norm error": f"{facts['norm_error']:.1e}",
    }
    if facts["order"] is not None:
        error = facts["closure_error"]
        columns[f"closure, order {facts['order']}"] = "n/a" if error is None else f"{error:.1e}"
    table = Table(title=f"{escape(facts['transform'])}, learned from {facts['data']} in {facts['seconds']:.1f} s")
    for column in columns:
        table.add_column(column, justify="right")
    table.add_row(*columns.values())
    return table
