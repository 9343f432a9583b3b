"""Group rows of records by columns, with mean and spread; used by tables, figures and the terminal."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from orbitconv.records.grouping import group_by, mean_and_spread

Rows = Sequence[Mapping[str, Any]]

spread = partial(mean_and_spread, none="", unit=" %")
"""Mean and standard deviation as tables of pages show them."""


def where(rows: Rows, **columns: Any) -> list[Mapping[str, Any]]:
    """The rows with these values; a missing column counts as None."""
    return [row for row in rows if all(row.get(name) == value for name, value in columns.items())]


def grouped(rows: Rows, *columns: str) -> dict[Any, list[Mapping[str, Any]]]:
    """Rows grouped by their values in some columns (by the value itself for one column), in order of appearance."""
    if len(columns) == 1:
        return group_by(rows, lambda row: row.get(columns[0]))
    return group_by(rows, lambda row: tuple(row.get(name) for name in columns))


def values(rows: Rows, column: str) -> list[float]:
    """All values of a column that are present."""
    return [row[column] for row in rows if row.get(column) is not None]


def mean(rows: Rows, column: str) -> float:
    """Mean of a column."""
    return statistics.mean(values(rows, column))


def errors(rows: Rows) -> dict[str, list[float]]:
    """Test errors in percent by test."""
    return {test: values(own, "test_error_percent") for test, own in grouped(rows, "test").items()}


def means(rows: Rows, key: str, column: str) -> dict[Any, float]:
    """Mean of a column for every value of a key, in ascending order; rows without a value are skipped."""
    found = {place: values(own, column) for place, own in grouped(rows, key).items()}
    return {place: statistics.fmean(own) for place, own in sorted(found.items()) if own}


def layer_means(rows: Rows) -> tuple[float, float]:
    """Mean equivariance error of the layers before and after training."""
    before, after = (mean(where(rows, test="layer", when=when), "equivariance_error") for when in ("before", "after"))
    return before, after


@dataclass(frozen=True, kw_only=True)
class Kind:
    """Networks that differ in their seed only: shared columns, rows, and errors by test."""

    family: str
    group: str
    rotation: str
    epochs: int
    rows: Rows

    @property
    def name(self) -> str:
        """Name for readers: plain, exact C4."""
        return "plain" if self.family == "plain" else f"{self.family} {self.group.upper()}"

    @property
    def first(self) -> Mapping[str, Any]:
        """One of the rows: sizes are the same in all."""
        return self.rows[0]

    @property
    def errors(self) -> dict[str, list[float]]:
        """Test errors in percent by test."""
        return errors(self.rows)


def kinds(rows: Rows) -> list[Kind]:
    """The kinds of networks in a record, grouped by training, the best first."""
    found = [
        Kind(rotation=rotation, epochs=epochs, family=family, group=group, rows=own)
        for (rotation, epochs, family, group), own in grouped(rows, "rotation", "epochs", "family", "group").items()
    ]
    order = list(grouped(rows, "rotation", "epochs"))
    return sorted(
        found, key=lambda kind: (order.index((kind.rotation, kind.epochs)), statistics.fmean(kind.errors["rotated"]))
    )
