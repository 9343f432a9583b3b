"""The study of conversion as tables on the terminal."""

from collections.abc import Mapping, Sequence
from typing import Any

from orbitconv.records.grouping import mean_and_spread
from orbitconv.records.record import Record
from studies.base.command import Shown, table
from studies.base.summary import grouped, mean, values

Rows = Sequence[Mapping[str, Any]]


def show(_config: object, record: Record) -> Shown:
    """Final errors of every training, and the epochs to reach a conversion from scratch."""
    tables = []
    for (data, share), rows in grouped(record.rows, "data", "share").items():
        lines = [
            (
                name, test, str(own[0]["epochs"]), f"{own[0]['parameters']:,}", f"{mean(own, 'seconds'):.0f}",
                mean_and_spread(values(before(own), "test_error_percent"), 2),
                mean_and_spread(values(last(own), "test_error_percent"), 2),
            )
            for (name, test), own in grouped(rows, "network", "test").items()
        ]  # fmt: skip
        header = ("network", "test", "epochs", "parameters", "training, s", "before", "after")
        tables.append(table(f"{data}, {share:.0%} of the labels: error in %", lines, *header, left=("network", "test")))
    return Shown(tables)


def before(rows: Rows) -> Rows:
    """Rows of untrained networks."""
    return [row for row in rows if row["epoch"] == 0]


def last(rows: Rows) -> Rows:
    """Rows of the last epoch."""
    return [row for row in rows if row["epoch"] == row["epochs"]]


def saved(rows: Rows, test: str) -> list[float]:
    """For each seed, the share of the epochs that an inherited network does not need to reach the one from scratch.

    Zero for one that does not reach it within its training.
    """
    found = []
    for own in grouped([row for row in rows if row["test"] == test], "seed").values():
        kinds = grouped(own, "network")
        goal = last(kinds["from scratch"])[0]["test_error_percent"]
        epochs = own[0]["epochs"]
        reached = [row["epoch"] for row in kinds["inherited"] if row["test_error_percent"] <= goal]
        found.append(1 - min([*reached, epochs]) / epochs)
    return found
