"""The command line that reproduces a record, from the settings of a study."""

import shlex
from collections.abc import Collection, Iterator
from dataclasses import MISSING, asdict, fields, is_dataclass
from types import SimpleNamespace
from typing import Any

# Fields that no result depends on.
PLACES = frozenset({"out", "overwrite", "data_dir", "results", "resume", "tensorboard", "known", "folder"})


def settings_of(config: Any) -> dict[str, Any]:
    """The settings that a result depends on, for its record."""
    return {name: value for name, value in asdict(config).items() if name not in PLACES}


def command_as_run(program: str, config: Any, positional: Collection[str] = ()) -> str:
    """The command line that made a result, with files and folders; options at their defaults are left out."""
    words = [shlex.quote(word) for name in positional for word in _words(getattr(config, name))]
    return " ".join([program, *words, *_options(config, _defaults(config), "", positional)])


def command_of(words: str, config: Any, record: str) -> str:
    """The command that reproduces a record, with every option that is not at its default.

    For a record of another name there is a folder of that name, so that it does not get into the way of the usual one.
    """
    results = getattr(config, "results", None)
    places = [f"--results results/{record}.json"]
    if results is not None and results.stem != record:
        places = [f"--out runs/{results.stem.replace('_', '-')}", f"--results results/{results.stem}.json"]
    return " ".join([words, *_options(config, _defaults(config), ""), *places])


def _defaults(config: Any) -> SimpleNamespace:
    """The defaults of settings; fields without one have MISSING."""
    return SimpleNamespace(
        **{one.name: one.default if one.default_factory is MISSING else one.default_factory() for one in fields(config)}
    )


def _options(config: Any, plain: Any, prefix: str, hidden: Collection[str] = PLACES) -> Iterator[str]:
    """Options, for all fields that are not at their default."""
    for one in fields(config):
        value, default = getattr(config, one.name), getattr(plain, one.name)
        name = one.name.replace("_", "-")
        if is_dataclass(value):
            yield from _options(value, default, f"{prefix}{name}.", hidden)
        elif value != default and one.name not in hidden:
            if isinstance(value, bool):
                yield f"--{prefix}{name if value else f'no-{name}'}"
            else:
                yield shlex.join([f"--{prefix}{name}", *_words(value)])


def _words(value: Any) -> list[str]:
    """A value as command-line words: a dictionary as key, value, key, value."""
    if isinstance(value, dict):
        return [str(word) for pair in value.items() for word in pair]
    return [str(word) for word in (value if isinstance(value, tuple) else (value,))]
