"""`orbitconv predict`."""

import os
from dataclasses import dataclass
from pathlib import Path

import tyro
from rich.table import Table
from rich.text import Text

from orbitconv._support.files import check_writable, write_atomically
from orbitconv._support.folders import to_json
from orbitconv.cli.terminal import Terminal
from orbitconv.prediction import GrowingTable, Masks, Predict, Prediction, predict_masks, predict_pictures, write_json
from orbitconv.prediction.masks import MaskFormat
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

    out: Path | None = None
    """Folder for masks, of a network that labels pixels."""
    format: MaskFormat = "png"
    """Format of the masks."""
    objects: bool = False
    """Number the connected parts of the foreground in the masks, in place of classes."""
    tile: int = 1024
    """Larger pictures are seen in tiles of this side that overlap, for masks."""
    resume: bool = False
    """Keep the masks that are in the folder, and make the others."""
    trust: tuple[str, ...] = ()
    """Packages that the file of the network may call to build it."""

    def run(self) -> None:
        """Load, read, predict, show."""
        terminal = Terminal()
        check_writable(self.csv, "--csv")
        check_writable(self.json, "--json")
        trained = read_trained(self.checkpoint, self.trust)
        if trained.task.name == "segmentation":
            self._write_masks(trained, terminal)
            return
        keep = None if self.csv is None else GrowingTable(self.csv).add
        with terminal.progress() as progress:
            predictions = predict_pictures(trained, self.images, self, progress, keep)
        terminal.show(_table(predictions, self.turns))
        terminal.say(self._summary(trained, predictions))
        if self.json is not None:
            facts = {"network": str(self.checkpoint), "invert": self.invert, "turns": self.turns}
            write_json(self.json, predictions, facts)

    def _write_masks(self, trained: TrainedNetwork, terminal: Terminal) -> None:
        """Masks and overlays into a folder."""
        if self.out is None:
            raise ValueError("This network labels pixels; name a folder for the masks with --out.")
        if self.size is not None or self.invert or self.csv is not None:
            raise ValueError("--size, --invert and --csv are for classes of pictures; this network labels pixels.")
        config = Masks(
            turns=self.turns, tile=self.tile, objects=self.objects, format=self.format, device=self.device
        )  # fmt: skip
        with terminal.progress() as progress:
            rows = predict_masks(trained, self.images, self.out, config, resume=self.resume, progress=progress)
        if self.json is not None:
            write_atomically(self.json, to_json({"network": str(self.checkpoint), "turns": self.turns, "rows": rows}))
        failed = [row for row in rows if "error" in row]
        for row in failed:
            terminal.console.print(row["error"], soft_wrap=True, markup=False)
        terminal.console.print(
            f"{len(rows) - len(failed)} masks in {self.out}, {len(failed)} pictures left out.", markup=False
        )

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
        words = (
            os.fsencode(one.path).decode("utf-8", "backslashreplace"),
            one.classes[best],
            f"{chances[best]:.1%}",
            *second,
            *stable,
        )
        table.add_row(*map(Text, words))
    return table
