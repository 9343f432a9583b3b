"""The search space of a sweep, from words such as training.learning_rate=log:1e-3:1e-1."""

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, cast, get_args

from orbitconv._support.optional import import_optional
from orbitconv.train.config import TrainConfig, parse_config

Value = int | float | bool | str | None
Kind = Literal["int", "log-int", "float", "log", "choice"]

_PARTS = ("network", "training", "augmentation")
_GRAMMAR = (
    "NAME=int:LOW:HIGH, NAME=log-int:LOW:HIGH, NAME=float:LOW:HIGH, NAME=log:LOW:HIGH or NAME=choice:A,B,C, such as "
    "training.learning_rate=log:1e-3:1e-1, training.batch_size=choice:32,64,128 or network.options.width=int:4:32"
)
_WORDS: dict[str, Value] = {"none": None, "true": True, "false": False}


@dataclass(frozen=True, kw_only=True)
class Dimension:
    """One setting that a sweep changes, by its name with points: between two bounds, both included, or a choice."""

    name: str
    kind: Kind
    values: tuple[Value, ...]

    @property
    def distribution(self) -> Any:
        """The distribution for Optuna."""
        library = import_optional("optuna.distributions", "sweep", "orbitconv sweep")
        if self.kind == "choice":
            return library.CategoricalDistribution(self.values)
        make = library.IntDistribution if self.kind.endswith("int") else library.FloatDistribution
        return make(*self.values, log=self.kind.startswith("log"))


def parse_search(words: Iterable[str]) -> tuple[Dimension, ...]:
    """The search space, from words."""
    found = tuple(map(_parse, words))
    if not found:
        raise ValueError(f"sweep expects one --search or more: {_GRAMMAR}.")
    names = [one.name for one in found]
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise ValueError(f"--search names {twice[0]} twice; give one word for each setting.")
    return found


def with_values(config: TrainConfig, values: Mapping[str, Value], where: str = "--search") -> TrainConfig:
    """Settings with some values replaced."""
    settings = asdict(config)
    for name, value in values.items():
        *path, last = name.split(".")
        part: Any = settings
        for word in path:
            inner = part.get(word)
            part[word] = inner if isinstance(inner, dict) else {}  # a name that is wrong is refused below
            part = part[word]
        part[last] = value
    changed = parse_config(json.dumps(settings), where)
    changed.check()
    return changed


def check_space(config: TrainConfig, space: Iterable[Dimension]) -> list[TrainConfig]:
    """Refuse invalid values before anything is trained."""
    return [
        with_values(config, {one.name: value}, f"--search {one.name}={value}") for one in space for value in one.values
    ]


def _parse(word: str) -> Dimension:
    """One setting with its bounds."""
    name, equals, rest = word.partition("=")
    kind, colon, bounds = rest.partition(":")
    if not (name and equals and colon and bounds) or kind not in get_args(Kind):
        raise ValueError(f"--search expects {_GRAMMAR}; got {word!r}.")
    if name.partition(".")[0] not in _PARTS or "." not in name:
        raise ValueError(f"--search changes settings of {', '.join(_PARTS)}, such as training.epochs; got {name!r}.")
    if kind == "choice":
        values = tuple(_value(each.strip()) for each in bounds.split(","))
        if len(set(map(repr, values))) < len(values):
            raise ValueError(f"--search expects choices that differ, got {word!r}.")
        return Dimension(name=name, kind="choice", values=values)
    number = int if kind.endswith("int") else float
    try:
        low, high = map(number, bounds.split(":"))
    except ValueError as error:
        what = "whole numbers" if number is int else "numbers"
        raise ValueError(f"--search expects two {what} LOW:HIGH after {kind}, got {word!r}.") from error
    if not (math.isfinite(low) and math.isfinite(high) and low < high) or (kind.startswith("log") and low <= 0):
        positive = ", both above zero" if kind.startswith("log") else ""
        raise ValueError(f"--search expects LOW < HIGH{positive}, got {word!r}.")
    return Dimension(name=name, kind=cast("Kind", kind), values=(low, high))


def _value(word: str) -> Value:
    """A choice: none, true, false, a number, or the word as it is."""
    if word.lower() in _WORDS:
        return _WORDS[word.lower()]
    for kind in (int, float):
        try:
            return kind(word)
        except ValueError:
            continue
    return word
