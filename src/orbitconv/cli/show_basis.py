"""`orbitconv show-basis`."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rich.table import Table

from orbitconv._support.folders import check_free, whole_folder
from orbitconv.cli.terminal import Terminal, new_table
from orbitconv.figures.drawing import check_libraries
from orbitconv.show.show_basis import ShowBasis, show_basis


@dataclass(frozen=True, kw_only=True)
class ShowBasisCommand(ShowBasis):
    """Draw how filter bases turn: every orbit, a filter that turns in all of them, spectra, inner products.

    Writes PNG, SVG and an animation to runs/show-basis, in seconds.
    """

    def run(self) -> None:
        """Draw, and report the files."""
        check_free(self.out, overwrite=self.overwrite)
        check_libraries()
        terminal = Terminal()
        with whole_folder(self.out, overwrite=self.overwrite) as folder:
            with terminal.progress() as progress:
                rows = show_basis(self, folder, progress)
            names = sorted(path.stem for path in folder.glob("*.png"))
        terminal.show(_table(rows))
        terminal.say(f"Pictures in {self.out}: {', '.join(f'{name}.png' for name in names)} (and .svg)")
        terminal.say(f"A filter that turns: {self.out / f'turning.{self.animation}'}")


def _table(rows: Sequence[dict[str, Any]]) -> Table:
    """The bases and their errors, the worst over the group."""
    numbers = {"unitarity_error": "unitarity", "group_law_error": "group law", "condition_number": "condition"}
    names = ("basis", "group", "kernel")
    table = new_table("How filters turn: worst errors over the group", (*names, "atoms", *numbers.values()), names)
    for row in rows:
        cells = ["n/a" if row[name] is None else f"{row[name]:.3g}" for name in numbers]
        table.add_row(row["basis"], row["group"].upper(), row["kernel"], str(row["num_atoms"]), *cells)
    return table
