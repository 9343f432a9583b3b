"""`orbitconv train`."""

import os
import re
import shlex
from dataclasses import dataclass, fields
from typing import final

from rich.table import Table

from orbitconv._support.progress import silent
from orbitconv.cli.terminal import Terminal
from orbitconv.records.run_folder import check_begun
from orbitconv.train import Pictures, Trained, TrainNetwork, WholeTraining, train_network


@dataclass(frozen=True, kw_only=True)
class TrainCommand(TrainNetwork):
    """Train one network on a data set, or on pictures of your own; stop it at any moment, and resume with --resume.

    For two processes: torchrun --nproc-per-node 2 -m orbitconv train ...; add torchrun's --nnodes for more machines.
    The batch size is that of all processes together, so that their number does not change the result.
    """

    def show(self, words: str) -> None:
        """Print notes about the training."""
        if os.environ.get("RANK", "0") == "0":
            Terminal().console.print(_with_options(words), soft_wrap=True, markup=False, highlight=False)

    def run(self) -> None:
        """Train, test, show."""
        terminal = Terminal()
        if os.environ.get("RANK", "0") != "0":
            train_network(self, silent)
            return
        check_begun(self.out, resume=self.resume)  # before thousands of pictures are read
        try:
            with terminal.progress() as progress:
                trained = train_network(self, progress)
        except ValueError as error:
            raise ValueError(_with_options(str(error))) from error
        except KeyboardInterrupt:
            if (self.out / "model.safetensors").exists():
                terminal.say(f"{self.out} keeps the training, which is done; --resume shows what came of it.")
            elif any(self.out.glob("checkpoints/step-*")):
                terminal.say(f"{self.out} keeps the training up to here; resume with --resume.")
            raise
        terminal.show(_table(trained))
        run = shlex.quote(str(self.out))
        trust = f" --trust {shlex.join(self.trust)}" if self.trust else ""
        terminal.say(f"Network: {trained.path}")
        terminal.say(f"Next: orbitconv evaluate {run}{trust}")
        terminal.say(f"      orbitconv report {run} --out {shlex.quote(f'{self.out}.html')}")


@final
class TypedTrainCommand(TrainCommand, WholeTraining):
    """The same with a file of settings as defaults; everything in the file counts as given."""


def _with_options(words: str) -> str:
    """Messages of the library, with command-line options in place of arguments."""
    names = "|".join(one.name for one in fields(Pictures))
    return re.sub(rf"\b({names})=(?=\S)", lambda found: f"--pictures.{found[1].replace('_', '-')} ", words)


def _table(trained: Trained) -> Table:
    """The result as a table."""
    last, config = trained.rows[-1], trained.config
    title = f"{config.network.model} on {config.data}, basis {config.network.basis}"
    table = Table(title=title, show_header=False, min_width=len(title) + 2)
    facts = {"weights": f"{trained.parameters:,}", "epochs": str(last["epoch"]), "loss": f"{last['loss']:.4f}"}
    errors = {name: value for name, value in last.items() if name.endswith("_error_percent")}
    scores = {name: value for name, value in last.items() if name.endswith(("_mean_iou", "_mean_dice", "_mean_f1"))}
    facts |= {name.replace("_", " "): f"{value:.4f}" for name, value in scores.items()}
    facts |= {f"{name.removesuffix('_error_percent')} error": f"{value:.2f} %" for name, value in errors.items()}
    facts["images per second"] = f"{last['images_per_second']:,.0f}"
    facts["seconds"] = f"{sum(row['seconds'] for row in trained.rows):.1f}"
    for name, value in facts.items():
        table.add_row(name, value)
    return table
