"""Every subcommand: a frozen dataclass whose docstrings are the help text, and what it does on the terminal."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import tyro

from orbitconv.cli.terminal import Terminal
from orbitconv.experiments.bases import CompareBases, compare_bases
from orbitconv.experiments.compare import write_comparison
from orbitconv.experiments.demo import Demo, run_demo
from orbitconv.experiments.files import check_free, whole_folder
from orbitconv.experiments.learn_basis import LearnBasis, learn_basis
from orbitconv.experiments.report import check_libraries, write_report


class Command(Protocol):
    """What the command line can run."""

    def run(self) -> None:
        """Do the job; errors are exceptions."""
        ...


@dataclass(frozen=True, kw_only=True)
class DemoCommand(Demo):
    """Learn how filters turn, train on upright digits, test on digits at any angle.

    Takes about four minutes on two cores. Writes a report with pictures to runs/demo/report.html.
    """

    def run(self) -> None:
        """Run the main job and show what came of it."""
        check_free(self.out, overwrite=self.overwrite)
        check_libraries()
        terminal = Terminal()
        with whole_folder(self.out, overwrite=self.overwrite) as folder:
            with terminal.progress() as progress:
                outcome = run_demo(self, progress)
                write_report(outcome, folder, progress)
            if self.results is not None:
                outcome.record.write(self.results)
        terminal.show_demo(outcome.record, self.out)


@dataclass(frozen=True, kw_only=True)
class CompareBasesCommand(CompareBases):
    """Compare all basis families on images that none of them was fitted to.

    Prints a table, and writes it as JSON and CSV with a figure to runs/bases.
    """

    def run(self) -> None:
        """Fit, measure, show."""
        check_free(self.out, overwrite=self.overwrite)
        check_libraries()
        terminal = Terminal()
        with whole_folder(self.out, overwrite=self.overwrite) as folder:
            with terminal.progress() as progress:
                record = compare_bases(self, progress)
                write_comparison(record, folder)
            if self.results is not None:
                record.write(self.results)
        terminal.show_bases(record, self.out)


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


def parse(arguments: Sequence[str]) -> Command:
    """Turn words into a command; wrong words end the process with exit code 2 and a message, `--help` with 0.

    Args:
        arguments: Words after the program's name.

    Returns:
        The command with its settings.
    """
    return tyro.extras.subcommand_cli_from_dict(
        {"demo": DemoCommand, "compare-bases": CompareBasesCommand, "learn-basis": LearnBasisCommand},
        prog="orbitconv",
        description="Convolutions that learn how their filters turn.",
        args=list(arguments),
    )
