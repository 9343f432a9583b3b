"""A benchmark beside an earlier one: whether any ratio got worse. Times are never compared, only ratios in one run."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orbitconv._support.json_text import read_json
from studies.base.peers import PEERS
from studies.speed.cases import Case
from studies.speed.study import STUDY, Bench

# What the check and the page need of a record.
_PARTS = (
    "name", "command", "commit", "versions", "machine", "config", "load_before", "definitions", "skipped", "curves",
    "goals",
)  # fmt: skip
_COLUMNS = {
    "case", "subject", "reference", "task", *Case(task="training").sizes, "channels", "unit", "median", "low", "high",
    "ratio", "ratio_low", "ratio_high",
}  # fmt: skip

ALLOWED = 1.10
"""A ratio may grow by this factor."""


@dataclass(frozen=True, kw_only=True)
class Change:
    """A ratio, earlier and now."""

    case: str
    subject: str
    reference: str
    before: float
    now: float

    @property
    def factor(self) -> float:
        """By what the ratio grew; below one it got better."""
        return self.now / self.before

    @property
    def is_worse(self) -> bool:
        """Whether it grew by more than is allowed."""
        return self.factor > ALLOWED


def compare(earlier: Sequence[Mapping[str, Any]], rows: Sequence[Mapping[str, Any]]) -> list[Change]:
    """Ratios of this library that both records hold; those of the peers are not ours to keep."""
    before = {_key(row): row["ratio"] for row in earlier}
    changes = [
        Change(
            case=row["case"], subject=row["subject"], reference=row["reference"], before=before[key], now=row["ratio"]
        )
        for row in rows
        if (key := _key(row)) in before and row["subject"] not in {row["reference"], "copy", *PEERS}
    ]
    return sorted(changes, key=lambda change: -change.factor)


def read_record(path: Path) -> dict[str, Any]:
    """Read the record of a benchmark."""
    try:
        data = read_json(path)
    except FileNotFoundError:
        raise FileNotFoundError(f"There is no record of a benchmark at {path}.") from None
    except ValueError as error:
        raise ValueError(f"{path} is not JSON, or damaged: {error}.") from error
    if not isinstance(data, dict) or data.get("study") != STUDY:
        raise ValueError(f"{path} is not the record of a benchmark. Name a file that python -m studies bench wrote.")
    rows = data.get("rows")
    is_whole = isinstance(rows, list) and all(isinstance(row, dict) and row.keys() >= _COLUMNS for row in rows)
    if missing := [name for name in _PARTS if name not in data] + ([] if is_whole else ["whole rows"]):
        raise ValueError(
            f"{path} is the record of another version, or damaged: it has no {', '.join(missing)}. Measure it anew "
            "with python -m studies bench."
        )
    return data


def check_comparable(earlier: Mapping[str, Any], config: Bench, cases: Sequence[Case]) -> None:
    """Refuse to measure what could not be compared."""
    for name in ("device", "dtype", "threads"):
        before, now = earlier["config"].get(name), getattr(config, name)
        if before != now:
            raise ValueError(
                f"--check compares ratios at the same settings; the earlier record has {name} {before}, this run "
                f"{now}. Add --{name} {before}."
            )
    if config.kernel != (before := earlier["config"].get("kernel", False)):
        raise ValueError(
            "--check compares ratios at the same settings; the earlier record was made "
            f"{'with the kernel. Add' if before else 'without the kernel. Leave out'} --kernel."
        )
    if not {case.name for case in cases} & {row["case"] for row in earlier["rows"]}:
        raise ValueError("--check has nothing to compare: none of the chosen cases is in the earlier record.")


def _key(row: Mapping[str, Any]) -> tuple[str, str, str]:
    return row["case"], row["subject"], row["reference"]
