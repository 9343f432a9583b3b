"""The records in results/: read whole, and packed, so that their long rows take little room."""

import json
import lzma
from pathlib import Path
from typing import Any

from orbitconv._support.files import write_atomically
from orbitconv._support.folders import to_json
from orbitconv._support.json_text import parse_json, read_json

ROOT = Path(__file__).resolve().parents[2]
RESULTS = ROOT / "results"

Rows = list[dict[str, Any]]

# Records with more rows than these keep them in a compressed file beside them.
_FEW = 100


def read_record(path: Path) -> dict[str, Any]:
    """A record with all its rows, packed or not."""
    try:
        found = read_json(path)
        if "rows_file" in found:
            found["rows"] = parse_json(lzma.decompress((path.parent / found.pop("rows_file")).read_bytes()))
        list(found["rows"])
    except (ValueError, KeyError, TypeError, lzma.LZMAError) as error:
        raise ValueError(f"{path} is no record of a study: {error}.") from error
    return found


def record(name: str) -> dict[str, Any]:
    """A record in results/."""
    return read_record(RESULTS / f"{name}.json")


def read(name: str) -> Rows:
    """Rows of a record in results/."""
    return record(name)["rows"]


def pack(path: Path) -> None:
    """Move many rows of a record to a compressed file beside it, which the record then names."""
    found = read_json(path)
    rows = found.pop("rows", ())
    if len(rows) > _FEW:
        packed = path.with_suffix(".rows.json.xz")
        write_atomically(packed, lzma.compress(json.dumps(rows, allow_nan=False).encode(), preset=9))
        write_atomically(path, to_json({**found, "rows_file": packed.name}))
