"""User pictures: satellite images and nuclei."""

from collections.abc import Mapping
from typing import Any

from studies.base.results import read, record
from studies.base.summary import Rows, grouped, mean, spread, values, where
from studies.pages.markdown import network_name, table


def eurosat() -> str:
    """Every network at equal parameters."""
    return _satellite(where(read("eurosat"), table="equal parameters"))


def eurosat_time() -> str:
    """Each group network, and plain ones with the same training time."""
    rows: list[Mapping[str, Any]] = []
    longer = where(read("eurosat"), table="equal time")
    for other in dict.fromkeys(str(row["network"]).partition(", as long as ")[2] for row in longer):
        rows += where(read("eurosat"), table="equal parameters", network=other)
        rows += [row for row in longer if str(row["network"]).endswith(f", as long as {other}")]
    return _satellite(rows)


def _satellite(rows: Rows) -> str:
    lines = []
    for own in grouped(rows, "network").values():
        first = own[0]
        lines.append((
            _name(first), str(first["epochs"]), f"{first['parameters']:,}", f"{first['multiply_adds'] / 1e6:.0f} M",
            f"{mean(own, 'seconds'):.0f} s", f"{first['step_ms']:.0f} ms", spread(values(own, "test_error_percent"), 2),
        ))  # fmt: skip
    header = ("network", "epochs", "parameters", "multiply-adds", "training", "training step", "test error")
    return table(header, "lrrrrrr", lines)


def nuclei() -> str:
    """U-Nets in one pass, the plain one in eight too."""
    lines = []
    for (_, passes), own in grouped(read("nuclei"), "network", "passes").items():
        first = own[0]
        quality = (spread([100 * one for one in values(own, column)], 1) for column in ("dice", "f1_50"))
        lines.append((
            _name(first), str(passes), f"{first['parameters']:,}", f"{mean(own, 'seconds'):.0f} s",
            f"{first['picture_ms']:.0f} ms", *quality,
        ))  # fmt: skip
    header = ("U-Net", "passes", "parameters", "training", "one picture", "Dice", "F1 at IoU 0.5")
    return table(header, "lrrrrrr", lines)


def streaming() -> str:
    """Training from files, from the cache and from memory."""
    names = {"files": "TIFF files", "cache": "the cache (`--cache`)", "memory": "memory"}
    lines = [
        (
            names[one["pictures"]], f"{one['images_per_second']:.0f}", f"{one['speed_over_memory']:.2f}",
            f"{one['resident_gigabytes']:.2f} GB",
        )
        for one in record("streaming")["summary"]
    ]  # fmt: skip
    return table(("pictures from", "images per second", "over memory", "resident memory"), "lrrr", lines)


def _name(row: Mapping[str, Any]) -> str:
    """Name of a network."""
    return network_name(str(row["family"]), str(row["group"])) if row["family"] != "plain" else str(row["network"])
