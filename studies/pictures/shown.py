"""The studies of pictures as tables on the terminal."""

from orbitconv.records.grouping import mean_and_spread
from orbitconv.records.record import Record
from studies.base.command import Shown, table
from studies.base.summary import grouped, mean, values


def show_eurosat(_config: object, record: Record) -> Shown:
    """Errors at equal parameters, and at equal time."""
    header = ("network", "epochs", "parameters", "multiply-adds", "training, s", "error")
    tables = []
    for title, rows in grouped(record.rows, "table").items():
        lines = [
            (
                name, str(own[0]["epochs"]), f"{own[0]['parameters']:,}", f"{own[0]['multiply_adds'] / 1e6:.0f} M",
                f"{mean(own, 'seconds'):.0f}", mean_and_spread(values(own, "test_error_percent"), 2),
            )
            for name, own in grouped(rows, "network").items()
        ]  # fmt: skip
        tables.append(table(f"Test error at {title}, in %", lines, *header, left=("network",)))
    return Shown(tables)


def show_nuclei(_config: object, record: Record) -> Shown:
    """Dice and F1 of every network in one pass, and of the plain one in eight."""
    header = ("network", "passes", "parameters", "training, s", "ms for a picture", "Dice", "F1 at IoU 0.5")
    lines = [
        (
            name, str(passes), f"{own[0]['parameters']:,}", f"{mean(own, 'seconds'):.0f}",
            f"{own[0]['picture_ms']:.0f}",
            *(mean_and_spread([100 * value for value in values(own, column)], 2) for column in ("dice", "f1_50")),
        )
        for (name, passes), own in grouped(record.rows, "network", "passes").items()
    ]  # fmt: skip
    return Shown([table("Nuclei: Dice and F1, in %", lines, *header, left=("network",))])
