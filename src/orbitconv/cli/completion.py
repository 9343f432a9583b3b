"""`orbitconv completion`."""

import io
import re
import sys
from contextlib import redirect_stdout
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
        script = io.StringIO()
        try:
            with redirect_stdout(script):
                tyro.extras.subcommand_cli_from_dict(
                    kinds, prog="orbitconv", args=["--tyro-print-completion", self.shell]
                )
        except SystemExit as ended:  # tyro ends the process when it has printed
            if ended.code:
                raise
        sys.stdout.write("".join(map(_in_one_line, script.getvalue().splitlines(keepends=True))))


def _in_one_line(line: str) -> str:
    """A line of the script; where it lists the options, each description becomes one line, as shells read lines."""
    return re.sub(r"\\+n", " ", line) if line.startswith("COMPLETION_SPEC") else line
