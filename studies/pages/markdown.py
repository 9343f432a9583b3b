"""Records and what a table in Markdown is made of."""

import json
import statistics
from collections.abc import Iterable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]

Rows = list[dict[str, Any]]

LEARNED = ("learned", "average", "fine-tuned", "over-complete", "spectral", "unitary")


def record(name: str) -> dict[str, Any]:
    """A record."""
    return json.loads((ROOT / "results" / f"{name}.json").read_text(encoding="utf-8"))


def read(name: str) -> Rows:
    """Rows of a record."""
    return record(name)["rows"]


def spread(values: Iterable[float], digits: int = 1, unit: str = " %") -> str:
    """Mean and standard deviation; nothing if there are no values."""
    values = list(values)
    if not values:
        return ""
    words = f"{statistics.mean(values):.{digits}f}"
    return f"{words} ± {statistics.stdev(values):.{digits}f}{unit}" if len(values) > 1 else words + unit


def network_name(family: str, group: str) -> str:
    """What a network is called; bold where its basis is learned."""
    name = "plain CNN" if family == "plain" else f"{family} {group.upper()}"
    return f"**{name}**" if family in LEARNED else name


def table(header: tuple[str, ...], align: str, rows: Iterable[Iterable[str]]) -> str:
    """A table in Markdown; `align` has one of l and r for each column."""
    marks = {"l": "---", "r": "---:"}
    lines = [header, tuple(marks[a] for a in align), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
