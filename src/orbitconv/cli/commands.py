"""Every subcommand: a frozen dataclass whose docstrings are the help text, and what it does on the terminal."""

import sys
from collections.abc import Sequence
from dataclasses import fields, replace
from typing import Any, Protocol, runtime_checkable

import tyro

from orbitconv.checks import did_you_mean
from orbitconv.cli.bases import CompareBasesCommand, LearnBasisCommand
from orbitconv.cli.bench import BenchCommand
from orbitconv.cli.build_kernel import BuildKernelCommand
from orbitconv.cli.demo import DemoCommand
from orbitconv.cli.evaluate import EvaluateCommand
from orbitconv.cli.export import ExportCommand
from orbitconv.cli.learn_action import LearnActionCommand
from orbitconv.cli.mlp_to_cnn import MlpToCnnCommand
from orbitconv.cli.network_study import NETWORK_STUDIES
from orbitconv.cli.predict import PredictCommand
from orbitconv.cli.report import ReportCommand
from orbitconv.cli.separable import SeparableCommand
from orbitconv.cli.show_basis import ShowBasisCommand
from orbitconv.cli.stability import StabilityCommand
from orbitconv.cli.studies import TrainedBasesCommand
from orbitconv.cli.sweep import SweepCommand
from orbitconv.cli.train import TrainCommand, TypedTrainCommand
from orbitconv.cli.train_basis import LearnedBasisCommand, TrainBasisCommand, TrainPaperBasisCommand
from orbitconv.experiments.training import TrainConfig, read_config


@runtime_checkable
class Command(Protocol):
    """What the command line can run."""

    def run(self) -> None:
        """Do the job; errors are exceptions."""
        ...


COMMANDS: dict[str, type[Command]] = {
    "demo": DemoCommand,
    "train": TrainCommand,
    "predict": PredictCommand,
    "evaluate": EvaluateCommand,
    "sweep": SweepCommand,
    "export": ExportCommand,
    "report": ReportCommand,
    "learn-basis": LearnBasisCommand,
    "train-basis": TrainBasisCommand,
    "train-basis --paper": TrainPaperBasisCommand,
    "show-basis": ShowBasisCommand,
    "compare-bases": CompareBasesCommand,
    "learn-action": LearnActionCommand,
    "bench": BenchCommand,
    "build-kernel": BuildKernelCommand,
    "study bases-trained": TrainedBasesCommand,
    "study learned-basis": LearnedBasisCommand,
    "study mlp-to-cnn": MlpToCnnCommand,
    **NETWORK_STUDIES,
    "study stability": StabilityCommand,
    "study separable": SeparableCommand,
}


def parse(arguments: Sequence[str]) -> Command:
    """Turn words into a command; wrong words end the process with exit code 2 and a message, `--help` with 0.

    Args:
        arguments: Words after the program's name.

    Returns:
        The command with its settings.
    """
    words = list(arguments)
    if words[:1] == ["study"]:  # one entry for each study in the list of commands
        words = [_study(words[1] if words[1:] else "--help"), *words[2:]]
    if words[:1] == ["train-basis"] and "--paper" in words:  # other defaults, so an entry of its own
        words = ["train-basis --paper", *(word for word in words[1:] if word != "--paper")]
    command = tyro.extras.subcommand_cli_from_dict(
        dict(COMMANDS),
        prog="orbitconv",
        description="Convolutions that learn how their filters turn.",
        args=words,
    )
    # With saved settings, options are read once more, with those as defaults: what is typed wins, also where it is
    # what the default would have been.
    if isinstance(command, TrainCommand) and (saved := command.saved()) is not None:
        again = _over_saved(command, saved, words[1:])
        return TypedTrainCommand(**{one.name: getattr(again, one.name) for one in fields(again)})
    if isinstance(command, SweepCommand) and command.config is not None:
        return replace(_over_saved(command, read_config(command.config), words[1:]), config=None)
    return command


def _study(name: str) -> str:
    """The command of a study; what is no name ends the process as `parse` does."""
    studies = {command.removeprefix("study "): kind for command, kind in COMMANDS.items() if "study " in command}
    if name in {"-h", "--help"}:
        lines = [f"  {study:<18}{str(kind.__doc__).strip().splitlines()[0]}" for study, kind in studies.items()]
        print("usage: orbitconv study NAME [OPTIONS]\n", *lines, sep="\n")  # noqa: T201
        sys.exit(0)
    if name not in studies:
        hint = did_you_mean(name, studies)
        raise ValueError(f"There is no study named {name!r}.{hint} There are {', '.join(studies)}.")
    return f"study {name}"


def _over_saved(command: Any, saved: TrainConfig, options: Sequence[str]) -> Any:
    """A command with saved settings, but for what is typed."""
    settings = {one.name: getattr(saved, one.name) for one in fields(saved)}
    # tyro takes new names of a dictionary only where it is empty, so the saved options wait.
    settings["network"] = replace(saved.network, options={})
    again = tyro.cli(type(command), args=options, default=replace(command, **settings))
    if again.network.options:
        return again
    return replace(again, network=replace(again.network, options=saved.network.options))
