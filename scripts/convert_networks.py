"""Convert every network of the compatibility tests, and write what came of it as results/convert_networks.json.

    scripts/compatibility_environment.sh ENVIRONMENT
    ENVIRONMENT/bin/python scripts/convert_networks.py [NAME ...]

Rows that are there already are kept, so a run may be stopped and gone on with.
"""

import json
import platform
import sys
import warnings
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "src"), str(ROOT / "tests")]
RECORD = ROOT / "results" / "convert_networks.json"


def main(names: list[str]) -> None:
    """Measure the networks that have no row yet."""
    from compatibility.measured import measure_c4, measure_group
    from compatibility.zoo import ZOO
    from studies.base.results import read_record

    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    rows: list[dict[str, Any]] = list(read_record(RECORD)["rows"]) if RECORD.exists() else []
    for name in (one for one in ZOO if not names or any(word in one for word in names)):
        for group in ("c4", "d4", "c8"):
            if any((row["network"], row["group"]) == (name, group) and is_complete(row) for row in rows):
                continue
            try:
                found = measure_c4(name) if group == "c4" else measure_group(name, group)
            except Exception as error:  # of any library
                found = {"refused": f"{type(error).__name__}: {str(error)[:300]}"}
            rows = [row for row in rows if (row["network"], row["group"]) != (name, group)]
            rows.append({"network": name, "group": group, **found})
            sys.stdout.write(f"{rows[-1]}\n")
            sys.stdout.flush()
            rows.sort(key=lambda row: (list(ZOO).index(row["network"]), row["group"] != "c4", row["group"]))
            write(rows)


def is_complete(row: dict[str, Any]) -> bool:
    """Whether a row holds all that is measured for its group."""
    return "refused" in row or row["group"] != "c4" or "promise" in row


def write(rows: list[dict[str, Any]]) -> None:
    """The record, with the versions of what it was measured with."""
    packages = ("torch", "pytorchcv", "monai", "transformers", "cellpose", "cistardist-pytorch")
    record = {
        "study": "convert_networks", "command": "python scripts/convert_networks.py",
        "config": {"machine": platform.machine(), "versions": {name: version(name) for name in packages}}, "rows": rows,
    }  # fmt: skip
    RECORD.parent.mkdir(exist_ok=True)
    RECORD.write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
