"""`python -m studies train-basis` and `python -m studies learned-basis`."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from rich.table import Table

from orbitconv._support.progress import ProgressCallback
from orbitconv.cli.terminal import Terminal, mean_and_spread
from orbitconv.figures.drawing import write_figure
from orbitconv.records.record import Record
from studies.base.command import run_study
from studies.bases.learned_basis_study import LearnedBasisStudy, study_learned_bases
from studies.bases.learned_curves import draw_curves
from studies.bases.train_basis import TrainBasis, TrainPaperBasis, train_one


@dataclass(frozen=True, kw_only=True)
class TrainBasisCommand(TrainBasis):
    """Train a filter basis by gradient descent, as in the paper.

    The folder gets basis.safetensors (load it with orbitconv.bases.load_basis, or name the file where a layer takes a
    basis), the curve of the training as a figure, and what --resume needs. Takes about a minute.
    """

    def run(self) -> None:
        """Train, measure, show."""
        _train_and_show(self)


@dataclass(frozen=True, kw_only=True)
class TrainPaperBasisCommand(TrainPaperBasis):
    """Train a filter basis by gradient descent, starting from the paper's settings."""

    def run(self) -> None:
        """Train, measure, show."""
        _train_and_show(self)


@dataclass(frozen=True, kw_only=True)
class LearnedBasisCommand(LearnedBasisStudy):
    """Train filter bases by gradient descent with our settings and the paper's, and compare them on held-out images.

    A study that was stopped goes on.
    """

    def run(self) -> None:
        """Train, measure, show."""
        _work(self.out, self.results, lambda progress: study_learned_bases(self, progress))


def _train_and_show(config: TrainBasis) -> None:
    """One command, whatever its defaults."""
    terminal = _work(config.out, config.results, lambda progress: train_one(config, progress))
    terminal.say(f"Basis: {config.out / 'basis.safetensors'}")


def _work(out: Path, results: Path | None, work: Callable[[ProgressCallback], Record]) -> Terminal:
    """Run trainings that keep their own checkpoints, then write record and figure and print the table."""
    terminal = Terminal()
    try:
        record = run_study(out, results, terminal, work)
    except KeyboardInterrupt:
        if any(out.glob("**/checkpoints/step-*")):
            terminal.say(f"{out} keeps the training up to its last checkpoint; go on with --resume.")
        raise
    write_figure(draw_curves(record.extra["curves"], record.extra["baselines_held_out_error"]), out, "curve")
    terminal.console.print(_table(record))
    terminal.say(f"Record and curve: {out}")
    return terminal


def _table(record: Record) -> Table:
    """Errors at each angle: mean, and standard deviation over seeds, of every kind of basis."""
    first = record.rows[0]
    tested = "CIFAR-10's test images" if first["test"] == "cifar10-test" else "the pictures held out"
    numbers = {name: f"{name[6:]}°" for name in first if name[6:].replace(".", "", 1).isdigit()}
    numbers |= {"error_worst": "worst", "unitarity_error": "unitarity"}
    kinds = {row["settings"] for row in record.rows} - {"none"}
    words = ("basis", "settings") if len(kinds) > 1 else ("basis",)
    title = f"Equivariance error, {str(first['group']).upper()}, {first['kernel']}x{first['kernel']}, on {tested}"
    table = Table(title=title)
    for column in (*words, "atoms", *numbers.values()):
        table.add_column(column, justify="left" if column in words else "right")
    for settings, family in dict.fromkeys((row["settings"], row["family"]) for row in record.rows):
        own = [row for row in record.rows if (row["settings"], row["family"]) == (settings, family)]
        names = (str(family), "" if settings == "none" else str(settings))[: len(words)]
        table.add_row(
            *names, str(own[0]["num_atoms"]), *(mean_and_spread([row[name] for row in own], 3) for name in numbers)
        )
    return table
