"""The studies of pictures as tables, on the terminal and in the docs: header, alignment and lines."""

from collections.abc import Mapping
from typing import Any

from orbitconv.records.record import Record
from studies.base.command import Shown, page_table
from studies.base.summary import Rows, grouped, mean, spread, values
from studies.pages.markdown import network_name

Cells = tuple[tuple[str, ...], str, list[tuple[str, ...]]]


def satellite(rows: Rows) -> Cells:
    """Every network with its size, its time and its error."""
    lines = []
    for own in grouped(rows, "network").values():
        first = own[0]
        lines.append((
            _name(first), str(first["epochs"]), f"{first['parameters']:,}", f"{first['multiply_adds'] / 1e6:.0f} M",
            f"{mean(own, 'seconds'):.0f} s", f"{first['step_ms']:.0f} ms", spread(values(own, "test_error_percent"), 2),
        ))  # fmt: skip
    header = ("network", "epochs", "parameters", "multiply-adds", "training", "training step", "test error")
    return header, "lrrrrrr", lines


def nuclei(rows: Rows) -> Cells:
    """U-Nets in one pass, the plain one in eight too."""
    lines = []
    for (_, passes), own in grouped(rows, "network", "passes").items():
        first = own[0]
        quality = (spread([100 * one for one in values(own, column)], 1) for column in ("dice", "f1_50"))
        lines.append((
            _name(first), str(passes), f"{first['parameters']:,}", f"{mean(own, 'seconds'):.0f} s",
            f"{first['picture_ms']:.0f} ms", *quality,
        ))  # fmt: skip
    return ("U-Net", "passes", "parameters", "training", "one picture", "Dice", "F1 at IoU 0.5"), "lrrrrrr", lines


def show_eurosat(_config: object, record: Record) -> Shown:
    """Errors at equal parameters, and at equal time."""
    tables = grouped(record.rows, "table")
    return Shown([page_table(f"Networks at {title}", *satellite(rows)) for title, rows in tables.items()])


def show_nuclei(_config: object, record: Record) -> Shown:
    """Dice and F1 of every network."""
    return Shown([page_table("Nuclei: Dice and F1", *nuclei(record.rows))])


def _name(row: Mapping[str, Any]) -> str:
    return network_name(str(row["family"]), str(row["group"])) if row["family"] != "plain" else str(row["network"])
