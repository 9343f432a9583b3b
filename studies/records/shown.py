"""The studies of records as tables on the terminal."""

from orbitconv.records.grouping import mean_and_spread
from orbitconv.records.record import Record
from studies.base.command import Shown, table
from studies.base.summary import Rows, errors, grouped, mean, values, where

TITLES = {"levers": "Levers: error on held-out images, in %", "record": "The chosen recipe: test error, in %"}


def _seconds(rows: Rows) -> str:
    return f"{mean(rows, 'seconds'):.0f}" if values(rows, "seconds") else ""


def show(_config: object, record: Record) -> Shown:
    """Every lever, then the recipe."""
    tables = []
    for part, title in TITLES.items():
        rows = where(record.rows, part=part)
        tests = list(grouped(rows, "test"))
        lines = [
            (
                levers, str(width), str(images), str(epochs), f"{own[0]['parameters']:,}",
                f"{own[0]['multiply_adds'] / 1e6:.0f} M", _seconds(own),
                *(mean_and_spread(errors(own).get(test, ()), 2, none="") for test in tests),
            )
            for (levers, width, images, epochs), own in grouped(
                rows, "levers", "plain_width", "images", "epochs"
            ).items()
        ]  # fmt: skip
        header = ("levers", "width", "images", "epochs", "parameters", "multiply-adds", "training, s", *tests)
        if lines:
            tables.append(table(title, lines, *header, left=("levers",)))
    return Shown(tables)
