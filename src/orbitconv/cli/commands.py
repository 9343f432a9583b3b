"""From arguments to a command: a frozen dataclass whose docstrings are the help text, imported when it is called."""

import inspect
import sys
from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from orbitconv._support.checks import did_you_mean

if TYPE_CHECKING:
    from orbitconv.train.config import TrainConfig


@runtime_checkable
class Command(Protocol):
    """A command of the command line."""

    def run(self) -> None:
        """Run the command; errors are exceptions."""
        ...


COMMANDS: Mapping[str, tuple[str, str]] = {
    "demo": ("demo:DemoCommand", "Learn from digits how filters turn, and show what it gives."),
    "train": ("train:TrainCommand", "Train a network."),
    "convert": ("convert:ConvertCommand", "Make a plain network equivariant."),
    "evaluate": ("evaluate:EvaluateCommand", "Measure the errors of a trained network at every angle."),
    "predict": ("predict:PredictCommand", "Apply a trained network to pictures."),
    "report": ("report:ReportCommand", "Write one page about trained networks."),
    "sweep": ("sweep:SweepCommand", "Search for good settings."),
    "export": ("export:ExportCommand", "Write a trained network to a file that needs no orbitconv."),
    "learn-basis": ("learn_basis:LearnBasisCommand", "Learn from pictures how filters turn."),
    "show-basis": ("show_basis:ShowBasisCommand", "Draw bases: orbits, a filter that turns, spectra."),
    "explore": ("explore:ExploreCommand", "Write a page in which filters and pictures turn."),
    "build-kernel": ("build_kernel:BuildKernelCommand", "Compile the faster products once."),
    "completion": ("completion:CompletionCommand", "Print what completes commands in a shell."),
}
"""Commands by name: the class below `orbitconv.cli`, and a summary."""

EXAMPLES: Mapping[str, str] = {
    "demo": "orbitconv demo --seeds 3 --out runs/demo-seeds",
    "train": "orbitconv train --data PICTURES --network.basis spectral-c8-k3 --augmentation.rotation circle "
    "--augmentation.flip --out runs/mine",
    "evaluate": "orbitconv evaluate runs/mine --data PICTURES --angles 0 45 90 --layers",
    "predict": "orbitconv predict runs/mine NEW_PICTURES --turns 8 --csv classes.csv",
    "report": "orbitconv report runs/mine runs/other --out runs/report.html",
    "sweep": "orbitconv sweep --data PICTURES --search training.learning_rate=log:1e-3:1e-1 --trials 20",
    "convert": "orbitconv convert orbitconv.models:resnet18 --image 3 64 64 --group c8 --out mine.safetensors",
    "export": "orbitconv export runs/mine --format onnx --out mine.onnx",
    "learn-basis": "orbitconv learn-basis --images PICTURES --kernel-size 5 --out mine.safetensors",
    "show-basis": "orbitconv show-basis --bases mine.safetensors spectral-c8-k5",
    "explore": "orbitconv explore --bases mine.safetensors --out mine.html",
    "build-kernel": "orbitconv build-kernel",
    "completion": "orbitconv completion bash",
}
"""An example call of each command, for its help."""


def parse(arguments: Sequence[str]) -> Command:
    """Parse arguments into a command; invalid ones exit with code 2 and a message, `--help` with 0."""
    name, words = named(arguments, "orbitconv", "Convolutions that learn how their filters turn.", COMMANDS)
    import tyro  # not before a command is known: what --help lists needs none of this

    from orbitconv.train.config import read_config

    kind = load_class("orbitconv.cli.", COMMANDS[name][0])
    about = f"{inspect.cleandoc(kind.__doc__ or '')}\n\nExample: {EXAMPLES[name]}"
    command = tyro.cli(kind, prog=f"orbitconv {name}", description=about, args=words)
    # With saved settings, options are read once more, with those as defaults: what is typed wins, also where it is
    # what the default would have been.
    if name == "train" and (saved := command.saved()) is not None:
        again = _over_saved(command, saved, words)
        typed = load_class("orbitconv.cli.", "train:TypedTrainCommand")
        return typed(**{one.name: getattr(again, one.name) for one in fields(again)})
    if name == "sweep" and command.config is not None:
        return replace(_over_saved(command, read_config(command.config), words), config=None)
    return command


def named(
    arguments: Sequence[str], program: str, summary: str, commands: Mapping[str, tuple[str, str]]
) -> tuple[str, list[str]]:
    """The command that the first argument names, and the other arguments.

    Without a word, or with `--help`, the commands are listed and the process ends with exit code 0; `--version` prints
    the version.
    """
    name, *words = arguments or ["--help"]
    if name == "--version":
        print(f"orbitconv {version('orbitconv')}")  # noqa: T201
        sys.exit(0)
    if name in {"-h", "--help"}:
        width = max(map(len, commands))
        lines = [f"  {command:<{width}}  {line}" for command, (_, line) in commands.items()]
        ending = f"Options of a command: {program} COMMAND --help. Version: {program} --version"
        print(f"usage: {program} COMMAND [OPTIONS]", summary, "\n".join(lines), ending, sep="\n\n")  # noqa: T201
        sys.exit(0)
    if name not in commands:
        hint = did_you_mean(name, commands)
        raise ValueError(f"There is no command named {name!r}.{hint} The commands are {', '.join(commands)}.")
    return name, words


def load_class(package: str, place: str) -> Any:
    """Import the class of a command."""
    module, _, name = place.partition(":")
    return getattr(import_module(package + module), name)


def _over_saved(command: Any, saved: "TrainConfig", options: Sequence[str]) -> Any:
    """A command with saved settings where no option is typed."""
    import tyro

    settings = {one.name: getattr(saved, one.name) for one in fields(saved)}
    # tyro takes new names of a dictionary only where it is empty, so the saved options wait.
    settings["network"] = replace(saved.network, options={})
    again = tyro.cli(type(command), args=options, default=replace(command, **settings))
    if again.network.options:
        return again
    return replace(again, network=replace(again.network, options=saved.network.options))
