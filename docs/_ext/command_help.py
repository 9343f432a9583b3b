"""`{command-help}`: what each command prints with `--help`."""

import os
import subprocess
import sys
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from orbitconv.cli.commands import COMMANDS


def printed(name: str) -> str:
    """Run a command with `--help`.

    Args:
        name: Name of the command, or an empty string for the list of commands.

    Returns:
        What it printed.
    """
    words = [name] if name else []
    environment = {**os.environ, "COLUMNS": "86", "NO_COLOR": "1", "TERM": "dumb"}
    call = [sys.executable, "-m", "orbitconv", *words, "--help"]
    return subprocess.run(call, capture_output=True, text=True, check=True, env=environment).stdout.rstrip()


def section(directive: SphinxDirective, title: str, name: str) -> nodes.section:
    """A section that holds the help of one command."""
    found = nodes.section(ids=[nodes.make_id(title)], names=[title])
    found += nodes.title(text=title)
    text = printed(name)
    block = nodes.literal_block(text, text, language="text")
    found += block
    directive.state.document.note_explicit_target(found)
    return found


class CommandHelp(SphinxDirective):
    """A section for the list of commands, and one for each command."""

    def run(self) -> list[nodes.Node]:
        """Sections, in the order of the command line."""
        return [section(self, "orbitconv", "")] + [section(self, f"orbitconv {name}", name) for name in COMMANDS]


def setup(app: Sphinx) -> dict[str, Any]:
    """Add the directive."""
    app.add_directive("command-help", CommandHelp)
    return {"parallel_read_safe": True}
