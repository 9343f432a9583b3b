"""`orbitconv learn-basis`."""

from dataclasses import dataclass

from orbitconv.cli.terminal import Terminal
from orbitconv.data.skipped import Skipped
from orbitconv.learn_basis import LearnBasis, learn_basis


@dataclass(frozen=True, kw_only=True)
class LearnBasisCommand(LearnBasis):
    """Learn how filters turn from images, in closed form, and write the basis as one file.

    Load it with orbitconv.bases.load_basis("FILE.safetensors"), or name the file where a layer takes a basis.
    """

    def run(self) -> None:
        """Fit and write."""
        terminal, skipped = Terminal(), Skipped()
        with terminal.progress() as progress:
            facts = learn_basis(self, progress, skipped)
        atoms = facts.pop("num_atoms")
        layers = facts.pop("recommended_dimension", atoms)
        terminal.show_facts(
            f"{self.out}",
            {
                "atoms in the file": atoms,
                "atoms that layers take": layers,
                "equivariance error of those": facts.pop("equivariance_error"),
                **facts,
            },
        )
        if self.images is not None:
            terminal.say(f"{str(skipped)[0].upper()}{str(skipped)[1:]}.")
