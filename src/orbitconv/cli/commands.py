"""Every subcommand: a frozen dataclass whose docstrings are the help text, and what it does on the terminal."""

from collections.abc import Sequence
from typing import Protocol

import tyro

from orbitconv.cli.bases import CompareBasesCommand, LearnBasisCommand
from orbitconv.cli.demo import DemoCommand
from orbitconv.cli.studies import TrainedBasesCommand


class Command(Protocol):
    """What the command line can run."""

    def run(self) -> None:
        """Do the job; errors are exceptions."""
        ...


COMMANDS: dict[str, type[Command]] = {
    "demo": DemoCommand,
    "study bases-trained": TrainedBasesCommand,
    "compare-bases": CompareBasesCommand,
    "learn-basis": LearnBasisCommand,
}


def parse(arguments: Sequence[str]) -> Command:
    """Turn words into a command; wrong words end the process with exit code 2 and a message, `--help` with 0.

    Args:
        arguments: Words after the program's name.

    Returns:
        The command with its settings.
    """
    words = list(arguments)
    if words[:1] == ["study"] and words[1:]:  # one entry for each study in the list of commands
        words = [" ".join(words[:2]), *words[2:]]
    return tyro.extras.subcommand_cli_from_dict(
        dict(COMMANDS),
        prog="orbitconv",
        description="Convolutions that learn how their filters turn.",
        args=words,
    )
