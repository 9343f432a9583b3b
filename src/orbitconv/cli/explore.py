"""`orbitconv explore`."""

from dataclasses import dataclass
from pathlib import Path

from orbitconv._support.files import check_replaceable
from orbitconv.cli.terminal import Terminal
from orbitconv.explorer import write_page


@dataclass(frozen=True, kw_only=True)
class ExploreCommand:
    """Write a page in which filters and pictures turn: one file that needs no server and no network.

    Takes about half a minute.
    """

    out: Path = Path("runs/explore.html")
    """File to write; open it in any browser."""
    bases: tuple[Path, ...] = ()
    """Files of bases of your own (orbitconv learn-basis), shown beside those of the package."""
    overwrite: bool = False
    """Replace a file that is there."""

    def run(self) -> None:
        """Measure the bases, and write the page.

        Raises:
            FileExistsError: If the file is there and may not be replaced.
            OSError: If it cannot be written.
        """
        check_replaceable(self.out, overwrite=self.overwrite)
        terminal = Terminal()
        with terminal.progress() as progress:
            write_page(self.out, self.bases, lambda done, total: progress("measure bases", done, total))
        terminal.say(f"Open {self.out} in a browser.")
