"""The records in results/: one JSON per study with all its variants (other settings); long rows are compressed."""

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


def read_record(path: Path, variant: str = "") -> dict[str, Any]:
    """A record with the rows of one variant; "" is the study with its usual settings."""
    return read_variants(path)[variant]


def read_variants(path: Path) -> dict[str, dict[str, Any]]:
    """The records of all variants of a study, each with its rows."""
    try:
        found = read_json(path)
        if "rows_file" in found:
            packed = lzma.decompress((path.parent / found.pop("rows_file")).read_bytes())
            found["rows"] = parse_json(packed)
        rows = list(found.pop("rows"))
        if "variants" not in found:
            return {"": {**found, "rows": rows}}
        return {
            variant: {
                "study": found["study"], **facts,
                "rows": [_without_variant(row) for row in rows if row["variant"] == variant],
            }
            for variant, facts in found["variants"].items()
        }  # fmt: skip
    except (ValueError, KeyError, TypeError, lzma.LZMAError) as error:
        raise ValueError(f"{path} is no record of a study: {error}.") from error


def record(name: str) -> dict[str, Any]:
    """A record in results/: `STUDY`, or `STUDY_VARIANT`."""
    path = RESULTS / f"{name}.json"
    if path.exists():
        return read_record(path)
    for variants in RESULTS.glob("*.json"):
        if name.startswith(f"{variants.stem}_") and (variant := name.removeprefix(f"{variants.stem}_")):
            found = read_variants(variants)
            if variant in found:
                return found[variant]
    raise FileNotFoundError(f"There is no record of {name} in {RESULTS}.")


def read(name: str) -> Rows:
    """Rows of a record in results/."""
    return record(name)["rows"]


def pack(folder: Path) -> None:
    """Merge the records of variants (STUDY_VARIANT.json) into that of their study, and compress many rows."""
    for path in sorted(folder.glob("*.json")):
        found = read_json(path)
        study = str(found.get("study"))
        if path.stem.startswith(f"{study}_") and (folder / f"{study}.json").exists():
            variants = read_variants(folder / f"{study}.json")
            variants[path.stem.removeprefix(f"{study}_")] = read_record(path)
            rows = [{"variant": name, **row} for name, one in variants.items() for row in one.pop("rows")]
            facts = {name: {key: one[key] for key in one if key != "study"} for name, one in variants.items()}
            _write(folder / f"{study}.json", {"study": study, "variants": facts, "rows": rows})
            for file in (path, _rows_file(path)):
                file.unlink(missing_ok=True)
        elif "rows" in found:
            _write(path, found)


def _write(path: Path, found: dict[str, Any]) -> None:
    """Write a record; many rows go into a compressed file beside it."""
    rows = found.pop("rows")
    if len(rows) > _FEW:
        text = json.dumps(rows, allow_nan=False)
        write_atomically(_rows_file(path), lzma.compress(text.encode(), preset=9))
        write_atomically(path, to_json({**found, "rows_file": _rows_file(path).name}))
    else:
        write_atomically(path, to_json({**found, "rows": rows}))


def _rows_file(path: Path) -> Path:
    return path.with_suffix(".rows.json.xz")


def _without_variant(row: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name != "variant"}
