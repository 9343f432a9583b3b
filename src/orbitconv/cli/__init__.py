"""The command `orbitconv`: one subcommand per job, errors in one line, Ctrl-C always safe."""

from orbitconv.cli.main import main as main
