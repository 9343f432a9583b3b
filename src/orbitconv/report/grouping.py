"""Group runs that differ in the seed only into kinds, named after the settings in which they differ."""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from orbitconv.records.grouping import group_by
from orbitconv.report.runs import Run
from orbitconv.train import TrainConfig

# What does not change what is learned: the seed, when it is tested, and where and how fast it is computed.
_NO_DIFFERENCE = {
    "seed", "test_every", "hardware.device", "hardware.compile", "hardware.channels_last", "hardware.deterministic",
}  # fmt: skip
# A name is made of the first few of these that are needed, then of all other settings.
_FIRST = ("network.basis", "network.model", "training.epochs", "augmentation.rotation", "training.learning_rate")

MODEL, BASIS, EPOCHS = "network.model", "network.basis", "training.epochs"
"""Settings that every table has a place for."""


@dataclass(frozen=True, kw_only=True)
class Kind:
    """Runs that differ in the seed only, named by the settings that differ from those of other kinds on the data.

    Their settings are in words; `differing` are the names of those that are not the same in all kinds.
    """

    name: str
    settings: dict[str, str]
    differing: tuple[str, ...]
    runs: list[Run]

    @property
    def finished(self) -> list[Run]:
        """The runs that are finished."""
        return [run for run in self.runs if run.finished]


def kinds_by_data(runs: Sequence[Run]) -> dict[str, list[Kind]]:
    """Group runs: errors on different data sets are never compared."""
    return {data: _kinds(own) for data, own in group_by(runs, lambda run: run.config.data).items()}


def final_errors(kind: Kind) -> list[float]:
    """The test error of every finished run in percent, as its training measured it after the last epoch."""
    last = [run.rows[-1] for run in kind.finished if run.rows]
    return [float(row["test_error_percent"]) for row in last if "test_error_percent" in row]


def label(setting: str) -> str:
    """Short name of a setting, which has those of the groups that it is in: training.learning_rate."""
    return setting.rpartition(".")[2].replace("_", " ")


def _kinds(runs: Sequence[Run]) -> list[Kind]:
    """The kinds of networks on one data set."""
    grouped = group_by(runs, lambda run: tuple(sorted(_flat(run.config).items())))
    found = [dict(key) for key in grouped]
    names = list(dict.fromkeys(itertools.chain(*found)))
    shown = [dict.fromkeys(names, "") for _ in found]
    for name in names:
        values = [settings.get(name, "default") for settings in found]
        for words, one in zip(_all_words(name, values), shown, strict=True):
            one[name] = words
    differing = tuple(name for name in names if len({one[name] for one in shown}) > 1)
    return [
        Kind(name=name, settings=settings, differing=differing, runs=own)
        for name, settings, own in zip(_names(shown, differing), shown, grouped.values(), strict=True)
    ]


def _flat(config: TrainConfig) -> dict[str, Any]:
    """Settings that matter, under one name each."""

    def walk(settings: Mapping[str, Any], prefix: str) -> dict[str, Any]:
        flat: dict[str, Any] = {}
        for name, value in settings.items():
            flat |= walk(value, f"{prefix}{name}.") if isinstance(value, dict) else {f"{prefix}{name}": value}
        return flat

    return {name: value for name, value in walk(asdict(config), "").items() if name not in _NO_DIFFERENCE}


def _all_words(name: str, values: Sequence[Any]) -> list[str]:
    """The values of one setting in words, different where the values are."""
    short = [_words(name, value) for value in values]
    return short if len(set(short)) == len(set(values)) else [str(value) for value in values]


def _words(name: str, value: Any) -> str:
    if name == BASIS:
        return "plain" if value == "none" else Path(value).stem if value.endswith(".safetensors") else value
    if value is None:
        return "all" if name.endswith("_images") else "none"
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)


def _names(shown: Sequence[Mapping[str, str]], differing: Sequence[str]) -> list[str]:
    """As few settings as it takes to tell the kinds apart."""
    ordered = sorted(differing, key=lambda name: _FIRST.index(name) if name in _FIRST else len(_FIRST))
    chosen: list[str] = []
    for name in ordered:
        before = {tuple(one[c] for c in chosen) for one in shown}
        if len(before) == len(shown):
            break
        if len({tuple(one[c] for c in (*chosen, name)) for one in shown}) > len(before):
            chosen.append(name)
    return [", ".join(_part(name, one[name]) for name in chosen or [BASIS]) for one in shown]


def _part(name: str, words: str) -> str:
    """One setting within a name."""
    return words if name in {MODEL, BASIS} else f"{words} epochs" if name == EPOCHS else f"{label(name)} {words}"
