"""`orbitconv predict`."""

from dataclasses import dataclass
from pathlib import Path

import tyro
from rich.table import Table
from rich.text import Text

from orbitconv._support.files import check_writable
from orbitconv.cli.terminal import Terminal
from orbitconv.prediction import Predict, Prediction, predict_pictures, write_csv, write_json
from orbitconv.train import TrainedNetwork, read_trained


@dataclass(frozen=True, kw_only=True)
class PredictCommand(Predict):
    """Tell what a trained network sees in picture files of any size and mode, and how sure it is.

    Pictures become grey or coloured as the network was trained; transparent ones are put on white; of those that have
    another size the largest middle part of the right proportions is resized, without aliasing.
    """

    checkpoint: tyro.conf.Positional[Path]
    """Folder of a training, or a file that it wrote (model.safetensors, best.safetensors)."""
    images: tyro.conf.Positional[tuple[Path, ...]]
    """Picture files, and folders that are searched for them."""
    csv: Path | None = None
    """Write the table to this file."""
    json: Path | None = None
    """Write the probabilities of all classes to this file, for every turned copy."""

    def run(self) -> None:
        """Load, read, predict, show."""
        terminal = Terminal()
        check_writable(self.csv, "--csv")
        check_writable(self.json, "--json")
        trained = read_trained(self.checkpoint)
        with terminal.progress() as progress:
            predictions = predict_pictures(trained, self.images, self, progress)
        terminal.show(_table(predictions, self.turns))
        terminal.say(self._summary(trained, predictions))
        if self.csv is not None:
            write_csv(self.csv, predictions)
        if self.json is not None:
            facts = {"network": str(self.checkpoint), "invert": self.invert, "turns": self.turns}
            write_json(self.json, predictions, facts)

    def _summary(self, trained: TrainedNetwork, predictions: list[Prediction]) -> str:
        """What was done to the pictures before the network saw them."""
        form = self.form(trained)
        done = ["grey" if form.channels == 1 else "coloured"]
        if resized := sum(one.picture_size != (form.height, form.width) for one in predictions):
            done.append(f"{resized} of {len(predictions)} cut to the middle and resized")
        if self.invert:
            done.append("inverted")
        return (
            f"The network ({trained.config.data}) saw images of {form.height}x{form.width} pixels: {', '.join(done)}."
        )


def _table(predictions: list[Prediction], turns: int) -> Table:
    """A line for each picture."""
    title = f"Mean over {turns} turns" if turns > 1 else None
    table = Table(title=title)
    for column in ("file", "class", "probability", "runner-up", "probability"):
        table.add_column(column, justify="right" if column == "probability" else "left", overflow="fold")
    if turns > 1:
        table.add_column("turns that agree", justify="right")
        table.add_column("lowest", justify="right")
    for one in predictions:
        best, *others = one.ranking
        chances = one.probabilities.tolist()
        second = (one.classes[others[0]], f"{chances[others[0]]:.1%}") if others else ("-", "-")
        stable = (f"{one.agreeing} of {turns}", f"{one.lowest:.1%}") if turns > 1 else ()
        words = (str(one.path), one.classes[best], f"{chances[best]:.1%}", *second, *stable)
        table.add_row(*map(Text, words))
    return table
