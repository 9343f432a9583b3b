"""One case, from building its subjects to its rows in a record."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

import torch

from orbitconv.records.record import Row
from studies.base.peers import PEERS, quiet, reason_of
from studies.base.timing import Pace, Reading, interleave, ratios, spread, timed, waiter
from studies.speed.cases import COLD, Case, Task
from studies.speed.checks import check_error, tolerance
from studies.speed.cold import cold_reading
from studies.speed.memory import peak_bytes
from studies.speed.subjects import SUBJECTS, Builder, Setting
from studies.speed.work import prepare

# Memory is the same every time; a new process takes seconds.
_MOST_ROUNDS: Mapping[Task, int] = {"memory": 3, "construction": 7, "import": 7}


@dataclass(frozen=True, kw_only=True)
class Measured:
    """The result of a case."""

    rows: list[Row] = field(default_factory=list)
    goals: list[Row] = field(default_factory=list)
    skipped: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Entrant:
    """A subject that passed its check and can be timed."""

    reading: Reading
    calls: int = 1
    error: float | None = None


def measure(
    case: Case, setting: Setting, pace: Pace, peers: Collection[str] = (), *, required: Collection[str] = (),
    builders: Mapping[str, Builder] = SUBJECTS,
) -> Measured:  # fmt: skip
    """Build the subjects of a case, check them, and time them in turns."""
    skipped: dict[str, str] = {}
    entrants: dict[str, Entrant] = {}
    for name in (case.reference, *case.subjects, *(peers if case.peers else ())):
        try:
            with quiet():
                entrants[name] = _enter(name, case, setting, pace, builders)
        except Exception as error:
            reason = reason_of(error, name)
            if name in PEERS and name not in required:
                skipped[f"{name}, {case.name}"] = reason
                continue
            if isinstance(error, ArithmeticError):
                raise
            where = f"in {str(setting.dtype).removeprefix('torch.')} on {setting.device}"
            raise ValueError(
                f"{name} cannot run the case {case.name} {where}: {reason}. Leave it out with --cases"
                f"{' or --peers' if name in PEERS else ''}."
            ) from error
    most = _MOST_ROUNDS.get(case.task, pace.repeats)
    rounds = replace(pace, repeats=min(pace.repeats, most))
    values = interleave({name: entrant.reading for name, entrant in entrants.items()}, rounds)
    rows = [_row(case, name, entrant, values) for name, entrant in entrants.items()]
    return Measured(rows=rows, goals=_judge(case, values), skipped=skipped)


def _enter(name: str, case: Case, setting: Setting, pace: Pace, builders: Mapping[str, Builder]) -> Entrant:
    if case.task in COLD:
        reading = cold_reading(case, name, setting.threads)
        reading()  # once, so that its files are in memory and a broken one is found
        return Entrant(reading=reading)
    with torch.random.fork_rng():
        torch.manual_seed(setting.seed)
        subject = builders[name](case, setting)
    work = prepare(case, subject, setting)
    error = work.error()
    check_error(name, error, tolerance(setting.dtype, setting.device))
    if case.task == "memory":

        def read() -> float:
            work.forget_gradients()
            return float(peak_bytes(work.step, work.resident(), setting.device))

        return Entrant(reading=read, error=error)
    reading, calls = timed(work.step, pace, waiter(setting.device))
    return Entrant(reading=reading, calls=calls, error=error)


def _row(case: Case, name: str, entrant: Entrant, values: Mapping[str, Sequence[float]]) -> Row:
    amount = spread(values[name])
    ratio = spread(ratios(values[name], values[case.reference]))
    return {
        "case": case.name, "subject": name, "reference": case.reference, "task": case.task, **case.sizes,
        "channels": None if case.task == "import" else case.channels,
        "unit": "bytes" if case.task == "memory" else "seconds",
        "median": _short(amount.median), "low": _short(amount.low), "high": _short(amount.high),
        "ratio": _short(ratio.median), "ratio_low": _short(ratio.low), "ratio_high": _short(ratio.high),
        "repeats": len(values[name]), "calls": entrant.calls,
        "error": None if entrant.error is None else float(f"{entrant.error:.2g}"),
    }  # fmt: skip


def _judge(case: Case, values: Mapping[str, Sequence[float]]) -> list[Row]:
    """The goals of a case whose subjects took part, with their verdicts."""
    rows: list[Row] = []
    for goal in case.goals:
        if goal.of not in values or (goal.to is not None and goal.to not in values):
            continue
        found = spread(values[goal.of] if goal.to is None else ratios(values[goal.of], values[goal.to]))
        verdict = "reached" if found.median <= goal.most else "within noise" if found.low <= goal.most else "missed"
        rows.append({
            "case": case.name, "of": goal.of, "to": goal.to, "most": _short(goal.most), "found": _short(found.median),
            "low": _short(found.low), "high": _short(found.high), "verdict": verdict,
        })  # fmt: skip
    return rows


def _short(value: float) -> float:
    """Round to five digits, below the noise."""
    return float(f"{value:.5g}")
