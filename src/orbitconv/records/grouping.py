"""Rows of records grouped by what they share, and the mean and spread of a group."""

import statistics
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

Item = TypeVar("Item")
Key = TypeVar("Key", bound=Hashable)


def group_by(items: Iterable[Item], key: Callable[[Item], Key]) -> dict[Key, list[Item]]:
    """Group items by a key, what those of a group share."""
    groups: dict[Key, list[Item]] = {}
    for item in items:
        groups.setdefault(key(item), []).append(item)
    return groups


def by_columns(rows: Iterable[Mapping[str, Any]], *columns: str) -> dict[tuple[Any, ...], list[Mapping[str, Any]]]:
    """Group the rows of a record by the values of some columns, in the order of their first rows."""
    return group_by(rows, lambda row: tuple(row[column] for column in columns))


def values_by(rows: Iterable[Mapping[str, Any]], place: str, value: str) -> dict[float, list[float]]:
    """The values of one column at each value of another: the points of a curve over seeds.

    Rows that lack one of the two columns, or have None there, are left out.
    """
    known = [row for row in rows if row.get(place) is not None and row.get(value) is not None]
    points = group_by(known, lambda row: float(row[place]))
    return {at: [float(row[value]) for row in points[at]] for at in sorted(points)}


class Spread(NamedTuple):
    """Mean, sample standard deviation (0 for a single value) and number of some values."""

    mean: float
    deviation: float
    number: int

    @staticmethod
    def of(values: Sequence[float]) -> "Spread":
        """Compute both."""
        # mean, not fmean, whose sum is rounded before it is divided: 8.95 of three values must not depend on that
        return Spread(statistics.mean(values), statistics.stdev(values) if len(values) > 1 else 0.0, len(values))


def mean_and_spread(values: Sequence[float], digits: int = 1, *, none: str = "-", unit: str = "") -> str:
    """Mean, and standard deviation where there are several values, in words: 9.2 ± 2.4 %."""
    if not values:
        return none
    mean, deviation, number = Spread.of(values)
    spread = f" ± {deviation:.{digits}f}" if number > 1 else ""
    return f"{mean:,.{digits}f}{spread}{unit}"
