"""The command line that reproduces a record, from the settings of a study."""

from collections.abc import Iterator
from dataclasses import asdict, fields, is_dataclass
from typing import Any

# Fields that no result depends on.
PLACES = frozenset({"out", "overwrite", "data_dir", "results", "resume", "tensorboard", "known"})


def settings_of(config: Any) -> dict[str, Any]:
    """Everything that a result depends on, for its record.

    Args:
        config: Settings, a dataclass.

    Returns:
        Names and values.
    """
    return {name: value for name, value in asdict(config).items() if name not in PLACES}


def command_of(words: str, config: Any, record: str) -> str:
    """The command that reproduces a record.

    Args:
        words: The command, such as "study bases-trained".
        config: Its settings, a dataclass.
        record: Name of the record below results/.

    Returns:
        The command with every option that is not at its default.
    """
    return " ".join(["orbitconv", words, *_options(config, type(config)(), ""), f"--results results/{record}.json"])


def _options(config: Any, plain: Any, prefix: str) -> Iterator[str]:
    """Options, for all fields that are not at their default."""
    for one in fields(config):
        value, default = getattr(config, one.name), getattr(plain, one.name)
        name = one.name.replace("_", "-")
        if is_dataclass(value):
            yield from _options(value, default, f"{prefix}{name}.")
        elif value != default and one.name not in PLACES:
            if isinstance(value, bool):
                yield f"--{prefix}{name if value else f'no-{name}'}"
            else:
                values = value if isinstance(value, tuple) else (value,)
                yield " ".join([f"--{prefix}{name}", *map(str, values)])
