"""`orbitconv predict`."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import tyro
from rich.table import Table
from rich.text import Text

from orbitconv._support.files import check_writable, printable, write_atomically
from orbitconv._support.folders import to_json
from orbitconv.cli.terminal import Terminal
from orbitconv.metrics.splitting import Splitting
from orbitconv.prediction import Masks, Predict, Prediction, PredictionFiles, predict_masks, predict_pictures
from orbitconv.prediction.mask_files import MaskFormat
from orbitconv.prediction.preparing import digest_of
from orbitconv.train import TrainedNetwork, read_trained

_SHOWN = 10
"""Rows on the screen of a table that is also in a file."""
_PATH_WIDTH = 32
"""Maximum line length of a path, in characters."""


@dataclass(frozen=True, kw_only=True)
class PredictCommand(Predict):
    """Classify picture files of any size and mode with a trained network.

    Pictures become grey or coloured as the network was trained; transparent ones are put on white; of those that have
    another size the largest middle part of the right proportions is resized, without aliasing.
    """

    checkpoint: tyro.conf.Positional[Path]
    """Folder of a training, or a file that it wrote (model.safetensors, best.safetensors)."""
    images: tyro.conf.Positional[tuple[Path, ...]]
    """Picture files, and folders that are searched for them."""
    csv: Path | None = None
    """Write the table to this file, row by row."""
    json: Path | None = None
    """Write the probabilities of all classes to this file, for every rotated copy."""

    out: Path | None = None
    """Output folder for masks, for segmentation networks."""
    format: MaskFormat = "auto"
    """Format of the masks; "auto" takes TIFF for georeferenced pictures, and keeps their georeference, and PNG for all
    others."""
    objects: Splitting | None = None
    """Number the objects in the masks instead of classes: connected components of the foreground, optionally split by a
    watershed."""
    tile: int | None = None
    """Side of the overlapping tiles for larger pictures, for masks; by default 1024, or more for a larger receptive
    field."""
    margin: int | None = None
    """Margin of tiles that is discarded, in pixels; by default the receptive field, so that tiles agree with the whole
    picture."""
    overlays: bool = True
    """Also write each picture overlaid with its mask."""
    resume: bool = False
    """Keep finished results in the folder or in the files, and process the other pictures."""
    trust: tuple[str, ...] = ()
    """Packages that the file of the network may import to build it."""

    def run(self) -> None:
        """Load, read, predict, show."""
        terminal = Terminal()
        check_writable(self.csv, "--csv")
        check_writable(self.json, "--json")
        trained = read_trained(self.checkpoint, self.trust)
        if trained.task.name == "segmentation":
            self._write_masks(trained, terminal)
            return
        if self.out is not None or self.objects is not None:
            raise ValueError(
                "--out and --objects are for masks; this network tells classes of pictures: --csv, --json."
            )
        if self.csv is not None and self.csv == self.json:
            raise ValueError(f"--csv and --json expect two files, got {self.csv} for both.")
        if self.resume and self.csv is None and self.json is None:
            raise ValueError("--resume expects a file to resume: --csv, --json, or for masks --out.")
        facts = {
            "network": str(self.checkpoint), "weights": digest_of(trained.network), "invert": self.invert,
            "turns": self.turns, "classes": list(trained.classes),
        }  # fmt: skip
        left_out: list[str] = []
        with (
            PredictionFiles(self.csv, self.json, facts, resume=self.resume) as files,
            terminal.progress() as progress,
        ):
            predictions = predict_pictures(
                trained, self.images, self, progress, files.add, done=files.done, on_unreadable=left_out.append
            )
        if predictions:
            written = [str(path) for path in (self.csv, self.json) if path is not None]
            shown = predictions[:_SHOWN] if written else predictions
            terminal.show(_table(shown, self.turns))
            if more := len(predictions) - len(shown):
                terminal.say(f"{more} more in {' and '.join(written)}.")
            terminal.say(self._summary(trained, predictions))
        if files.done:
            terminal.say(f"{len(files.done)} pictures were done before.")
        _name_left_out(terminal, left_out)

    def _write_masks(self, trained: TrainedNetwork, terminal: Terminal) -> None:
        """Write masks and overlays into a folder."""
        if self.out is None:
            raise ValueError("This network labels pixels; name a folder for the masks with --out.")
        if self.size is not None or self.invert or self.csv is not None:
            raise ValueError("--size, --invert and --csv are for classes of pictures; this network labels pixels.")
        config = Masks(**{one.name: getattr(self, one.name) for one in fields(Masks)})
        with terminal.progress() as progress:
            rows = predict_masks(trained, self.images, self.out, config, resume=self.resume, progress=progress)
        if self.json is not None:
            write_atomically(self.json, to_json({"network": str(self.checkpoint), "turns": self.turns, "rows": rows}))
        left_out = [row["error"] for row in rows if "error" in row]
        terminal.say(f"{len(rows) - len(left_out)} masks in {printable(self.out)}.")
        _name_left_out(terminal, left_out)

    def _summary(self, trained: TrainedNetwork, predictions: list[Prediction]) -> str:
        """The preprocessing of pictures for the network."""
        form = self.form(trained)
        kind = {1: "grey images", 3: "RGB images"}.get(form.channels, f"images of {form.channels} channels")
        if self.invert:
            kind = f"inverted {kind}"
        if form.height is None:
            return f"The network saw {kind} of the size of the pictures."
        words = f"The network saw {kind} of {form.height}x{form.width} pixels."
        if resized := sum(one.picture_size != (form.height, form.width) for one in predictions):
            words += f" Of {len(predictions)} pictures {resized} had another size: cropped at the centre, then resized."
        return words


def _name_left_out(terminal: Terminal, reasons: Sequence[str]) -> None:
    """Pictures that could not be read, each with the reason."""
    if reasons:
        terminal.say(f"{len(reasons)} pictures were left out:")
    for reason in reasons:
        terminal.say(f"  {reason}")


def _table(predictions: list[Prediction], turns: int) -> Table:
    """One row per picture."""
    title = caption = None
    if turns > 1:
        title = f"Mean over {turns} turned copies of each picture"
        caption = "lowest probability: the smallest that a copy gives to the class of the mean"
    table = Table(title=title, caption=caption)
    for column in ("file", "class", "probability", "runner-up", "probability"):
        table.add_column(column, justify="right" if column == "probability" else "left", overflow="fold")
    if turns > 1:
        table.add_column("copies that agree", justify="right")
        table.add_column("lowest probability", justify="right")
    for one in predictions:
        best, *others = one.ranking
        chances = one.probabilities.tolist()
        second = (one.classes[others[0]], f"{chances[others[0]]:.1%}") if others else ("-", "-")
        stable = (f"{one.agreeing} of {turns}", f"{one.lowest:.1%}") if turns > 1 else ()
        words = (
            _in_lines(printable(one.path)) + (f", page {one.page}" if one.page else ""),
            one.classes[best],
            f"{chances[best]:.1%}",
            *second,
            *stable,
        )
        table.add_row(*map(Text, words))
    return table


def _in_lines(path: str) -> str:
    """A path broken after slashes, in lines of limited length."""
    lines = [""]
    for part in re.findall(r"[^/]*/|[^/]+", path):
        if lines[-1] and len(lines[-1] + part) > _PATH_WIDTH:
            lines.append("")
        lines[-1] += part
    return "\n".join(lines)
