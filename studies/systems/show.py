"""The table of all systems, on the terminal and in the docs."""

from collections.abc import Mapping, Sequence
from typing import Any

from orbitconv.records.record import Record
from studies.base.command import Shown, table
from studies.base.summary import errors, grouped, mean, spread
from studies.systems.measure import ANGLES

HEADER = (
    "system", "exact turns", "group, kernel", "taps, atoms", *(f"{angle}°" for angle in ANGLES), "unitarity",
    "parameters", "multiply-adds", "training step", "inference", "error upright", "error rotated",
)  # fmt: skip


def show(_config: object, record: Record) -> Shown:
    """Every system, and the bases of C12 on both lattices."""
    lines = system_lines(record.rows, record.extra)
    header = ("lattice", "images", "atoms", "error at 30 degrees")
    bases = [
        (row["lattice"], row["images"], str(row["num_atoms"]), f"{row['error_30']:.4f}")
        for row in record.extra["bases"]
    ]
    return Shown([
        table("Systems, means over seeds", lines, *HEADER, left=("system", "exact turns", "group, kernel")),
        table("Spectral bases of C12, 19 taps of a hexagon and 5x5 pixels", bases, *header, left=("lattice", "images")),
    ])  # fmt: skip


def system_lines(rows: Sequence[Mapping[str, Any]], extra: Mapping[str, Any]) -> list[tuple[str, ...]]:
    """The cells of every system."""
    times, lines = {row["network"]: row for row in extra.get("times", ())}, []
    facts = {one["name"]: one for one in extra["systems"]}
    for name, own in grouped(rows, "family").items():
        first, found = own[0], errors(own)
        step = times.get(name, {})
        unitarity = first["unitarity_error"]
        lines.append((
            f"{name} ({facts[name]['source']})", facts[name]["exact"],
            f"{first['group'].upper()}, {first['kernel']}x{first['kernel']}", f"{first['taps']}, {first['num_atoms']}",
            *(small(mean(own, f"error_{angle}")) for angle in ANGLES),
            "-" if unitarity is None else small(unitarity),
            f"{first['parameters']:,}", f"{first['multiply_adds'] / 1e6:.1f} M",
            *(_time(step, what) for what in ("training", "inference")),
            spread(found["upright"]), spread(found["rotated"]),
        ))  # fmt: skip
    return lines


def _time(step: Mapping[str, Any], what: str) -> str:
    """Milliseconds, and the ratio to the plain network."""
    return f"{step[f'{what}_ms']:.0f} ms, {step[f'{what}_ratio']:.1f}" if step else ""


def small(value: float) -> str:
    """An error; "exact" where only rounding remains."""
    return f"{value:.0e}" if value < 1e-4 else f"{value:.3f}"
