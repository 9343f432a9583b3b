"""The result of a sweep: its trials as rows of a record, and the best settings as a file."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from orbitconv.records.command import command_of
from orbitconv.records.record import Record, Row
from orbitconv.sweep.search_space import with_values
from orbitconv.sweep.settings import Sweep
from orbitconv.sweep.store import SweepStore
from orbitconv.train import TrainConfig, write_config

BEST = "best.json"


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """The result of a sweep: trials that ended, the best first, then those cut short and failed, and the best settings.

    `orbitconv train --config` takes the file of these.
    """

    record: Record
    best: TrainConfig
    path: Path


def outcome_of(config: Sweep, base: TrainConfig, store: SweepStore) -> Outcome:
    """Summarize a sweep, and write its best settings and its record to its folder."""
    ended = sorted(store.ended, key=_rank)
    if _end_of(ended[0]) != "trained":
        why = next((trial.user_attrs["failure"] for trial in ended if "failure" in trial.user_attrs), "")
        raise ValueError(
            f"None of {len(ended)} trials was trained to the end. {why} Search other bounds in another folder."
        )
    best = with_values(base, ended[0].params)
    path = config.out / BEST
    write_config(path, best)
    record = Record(
        study="sweep",
        command=command_of("orbitconv sweep", config, "sweep"),
        config={**config.shared(base), "trials": config.trials},
        extra={"best": asdict(best)},
    )
    for trial in ended:
        record.add(**_row(trial, with_values(base, trial.params)))
    record.write(config.out / "sweep.json")
    return Outcome(record=record, best=best, path=path)


def _end_of(trial: Any) -> str:
    """How a trial ended."""
    if "failure" in trial.user_attrs:
        return "failed"
    return "trained" if trial.state.name == "COMPLETE" else "cut short"


def _rank(trial: Any) -> tuple[int, float, int]:
    """The sort key of trials: pruned ones have their last value."""
    value = float("inf") if trial.value is None else trial.value
    return ("trained", "cut short", "failed").index(_end_of(trial)), value, trial.number


def _row(trial: Any, config: TrainConfig) -> Row:
    """A trial as a row of a record."""
    reported = trial.intermediate_values
    last = max(reported, default=None)
    return {
        "trial": trial.number,
        **trial.user_attrs["network"],
        "seed": config.seed,
        "train": config.data,
        "test": "validation",
        "ended": _end_of(trial),
        "epochs": last,
        "test_error_percent": None if last is None else reported[last],
        "seconds": round(trial.duration.total_seconds(), 2),
        **trial.params,
    }
