"""The rows of a study of networks, brought together by kind of network."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Kind:
    """Networks that differ in their seed only."""

    family: str
    group: str
    rotation: str
    epochs: int
    num_atoms: int
    parameters: int
    multiply_adds: int
    seconds: float
    errors: dict[str, list[float]]

    @property
    def name(self) -> str:
        """What a reader calls them: plain, exact C4."""
        return "plain" if self.family == "plain" else f"{self.family} {self.group.upper()}"


def kinds(rows: Sequence[Mapping[str, Any]]) -> list[Kind]:
    """The kinds of networks in a record, those trained alike together, the best first."""
    groups: dict[tuple[Any, ...], list[Mapping[str, Any]]] = {}
    for row in rows:
        groups.setdefault((row["rotation"], row["epochs"], row["family"], row["group"]), []).append(row)
    found = [
        Kind(
            family=family,
            group=group,
            rotation=rotation,
            epochs=epochs,
            num_atoms=own[0]["num_atoms"],
            parameters=own[0]["parameters"],
            multiply_adds=own[0]["multiply_adds"],
            seconds=statistics.fmean(row["seconds"] for row in own),
            errors={
                test: [row["test_error_percent"] for row in own if row["test"] == test]
                for test in dict.fromkeys(row["test"] for row in own)
            },
        )
        for (rotation, epochs, family, group), own in groups.items()
    ]
    order = {key: place for place, key in enumerate(dict.fromkeys((kind.rotation, kind.epochs) for kind in found))}
    return sorted(found, key=lambda kind: (order[kind.rotation, kind.epochs], statistics.fmean(kind.errors["rotated"])))
