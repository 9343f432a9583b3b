"""`orbitconv evaluate`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tyro
from rich.table import Table
from rich.text import Text

from orbitconv.cli.terminal import Terminal, new_table
from orbitconv.evaluation.evaluation import Evaluation, evaluate_network
from orbitconv.records.record import Record

# Characters of the longest bar.
_BAR = 40
_CHANGED_CLASSES = "changed: pictures that get another class when they are turned, in %"
_CHANGED_MASKS = "changed: error in % when the mask of the upright picture, turned, is taken as the true one"


@dataclass(frozen=True, kw_only=True)
class EvaluateCommand(Evaluation):
    """Test a trained network on a data set: upright, rotated by fixed angles, and by random ones."""

    checkpoint: tyro.conf.Positional[Path]
    """Folder of a training, or a file that it wrote (model.safetensors, best.safetensors)."""

    def run(self) -> None:
        """Load, test, show."""
        terminal = Terminal()
        with terminal.progress() as progress:
            record = evaluate_network(self.checkpoint, self, progress)
        if self.results is not None:
            record.write(self.results)
        terminal.show(_errors(record))
        for name, value in record.extra.get("figures", {}).items():
            terminal.say(f"{name.replace('_', ' ')}: {_shown(value)}")
        if "classes" in record.extra:
            terminal.show(_classes(record.extra["classes"]))
        if "equivariance" in record.extra:
            terminal.show(_layers(record.extra["equivariance"]))


def _errors(record: Record) -> Table:
    """Error of every test, with a bar."""
    copies = record.config["copies"]
    mean = "" if copies == 1 else f", mean over {copies} copies of each image"
    changed = any("changed_percent" in row for row in record.rows)
    columns = ("images", "error", *(["changed"] if changed else []), "")
    table = new_table(f"Test error on {record.config['data']}{mean}, in %", columns, {"images", ""})
    errors = [float(row["test_error_percent"] or 0) for row in record.rows]
    names = {"upright": "as they are", "rotated": "each at its own angle"}
    for row, error in zip(record.rows, errors, strict=True):
        name = names.get(str(row["test"]), f"turned by {row['degrees']:g} degrees" if row["test"] == "angle" else "")
        cells = [f"{error:.2f}"]
        if changed:
            cells.append(f"{float(row.get('changed_percent') or 0):.2f}" if "changed_percent" in row else "")
        table.add_row(name, *cells, "█" * round(_BAR * error / (max(errors) or 1)))
        if row["test"] == "rotated":
            table.add_section()
    at_angles = [error for row, error in zip(record.rows, errors, strict=True) if row["test"] == "angle"]
    if at_angles:
        table.add_section()
        table.add_row("mean over the angles", f"{sum(at_angles) / len(at_angles):.2f}", *([""] if changed else []), "")
    if changed:
        masks = "mean_iou" in record.extra.get("figures", {})
        table.caption = _CHANGED_MASKS if masks else _CHANGED_CLASSES
    return table


def _shown(value: float | dict[str, float] | None) -> str:
    """A figure, or one for each threshold; a dash where it is undefined, as for an absent class."""
    if isinstance(value, dict):
        return ", ".join(f"{_shown(one)} at {name}" for name, one in value.items())
    return "-" if value is None else f"{value:.4f}"


def _classes(figures: dict[str, dict[str, Any]]) -> Table:
    """Figures of each class."""
    numbers = {name: of for name, of in figures.items() if name != "confusion"}
    table = new_table("Classes", ("class", *numbers), {"class"})
    for one in next(iter(numbers.values())):
        table.add_row(Text(one), *(_shown(of[one]) for of in numbers.values()))
    return table


def _layers(found: dict[str, Any]) -> Table:
    """Equivariance error of every layer."""
    title = f"Equivariance error under {found['group'].upper()}, {found['images']} images"
    table = new_table(title, ("layer", "mean", "worst"), {"layer"})
    for layer in found["layers"]:
        table.add_row(layer["layer"], f"{layer['mean']:.2e}", f"{layer['worst']:.2e}")
    return table
