"""`orbitconv completion`."""

from dataclasses import dataclass
from typing import Literal

import tyro


@dataclass(frozen=True, kw_only=True)
class CompletionCommand:
    """Print a script that completes commands, options and choices in a shell.

    For bash, in ~/.bashrc: source <(orbitconv completion bash)
    """

    shell: tyro.conf.Positional[Literal["bash", "zsh", "fish"]]
    """The shell that reads the script."""

    def run(self) -> None:
        """Print the script."""
        from orbitconv.cli.commands import COMMANDS, load_class

        kinds = {name: load_class("orbitconv.cli.", place) for name, (place, _) in COMMANDS.items()}
        try:
            tyro.extras.subcommand_cli_from_dict(kinds, prog="orbitconv", args=["--tyro-print-completion", self.shell])
        except SystemExit as ended:  # tyro ends the process when it has printed
            if ended.code:
                raise
