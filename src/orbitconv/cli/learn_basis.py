"""`orbitconv learn-basis`."""

from dataclasses import dataclass

from orbitconv.cli.terminal import Terminal
from orbitconv.learn_basis import LearnBasis, learn_basis


@dataclass(frozen=True, kw_only=True)
class LearnBasisCommand(LearnBasis):
    """Learn how filters turn from images, in closed form, and write the basis as one file.

    Load it with orbitconv.bases.load_basis("FILE.safetensors"), or name the file where a layer takes a basis.
    """

    def run(self) -> None:
        """Fit and write."""
        terminal = Terminal()
        with terminal.progress() as progress:
            facts = learn_basis(self, progress)
        terminal.show_facts(f"{self.out}", facts)
