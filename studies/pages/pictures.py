"""User pictures: satellite images and nuclei."""

from collections.abc import Mapping
from typing import Any

from studies.base.results import read, record
from studies.base.summary import where
from studies.pages.markdown import table
from studies.pictures import shown
from studies.pictures.shown import satellite


def eurosat() -> str:
    """Every network at equal parameters."""
    return table(*satellite(where(read("eurosat"), table="equal parameters")))


def eurosat_time() -> str:
    """Each group network, and plain ones with the same training time."""
    rows: list[Mapping[str, Any]] = []
    longer = where(read("eurosat"), table="equal time")
    for other in dict.fromkeys(str(row["network"]).partition(", as long as ")[2] for row in longer):
        rows += where(read("eurosat"), table="equal parameters", network=other)
        rows += [row for row in longer if str(row["network"]).endswith(f", as long as {other}")]
    return table(*satellite(rows))


def nuclei() -> str:
    """U-Nets in one pass, the plain one in eight too."""
    return table(*shown.nuclei(read("nuclei")))


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
