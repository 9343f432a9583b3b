"""The description in the file of a trained network: how to build it, its task, and the images it takes."""

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from orbitconv._support.checks import check_positive
from orbitconv._support.saved import damaged_file
from orbitconv.data.scaling import Scaling
from orbitconv.groups import Group, parse_group
from orbitconv.train.builder import Builder
from orbitconv.train.config import TrainConfig, parse_config
from orbitconv.train.task import Classification, Task
from orbitconv.train.tasks import task_from_json, task_to_json

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Description:
    """The description of a trained network: classes are in the order of the scores, sizes of images in pixels.

    The group is that of the basis in the file, if there is one. Without a scaling, pixels become 0 to 1 by the range of
    their type; without a builder, the network is the one that the settings name.
    """

    config: TrainConfig
    classes: tuple[str, ...]
    in_channels: int
    image_size: tuple[int, int] | None
    group: Group | None
    task: Task = field(default_factory=Classification)
    scaling: Scaling | None = None
    builder: Builder | None = None

    def to_json(self) -> dict[str, Any]:
        """The description as plain values."""
        return {
            "config": asdict(self.config),
            "classes": list(self.classes),
            "in_channels": self.in_channels,
            "image_size": self.image_size,
            "group": None if self.group is None else self.group.name,
            "task": task_to_json(self.task),
            "scaling": None if self.scaling is None else self.scaling.to_json(),
            "builder": None if self.builder is None else asdict(self.builder),
        }


def read_description(values: Mapping[str, Any], path: Path) -> Description:
    """Read what `Description.to_json` returned; the error names an entry that is missing or invalid."""

    def entry(name: str, make: Callable[[Any], T]) -> T:
        if name not in values:
            raise damaged_file(path, f"its description lacks {name}")
        try:
            return make(values[name])
        except (KeyError, TypeError, ValueError) as error:
            raise damaged_file(path, f"its description has an invalid {name} ({str(error).rstrip('.')})") from error

    def optional(name: str, make: Callable[[Any], T]) -> T | None:
        return entry(name, lambda value: None if value is None else make(value))

    return Description(
        config=entry("config", lambda value: parse_config(json.dumps(value), "it")),
        classes=entry("classes", _classes),
        in_channels=entry("in_channels", _in_channels),
        image_size=optional("image_size", _image_size),
        group=optional("group", parse_group),
        task=entry("task", task_from_json),
        scaling=optional("scaling", Scaling.from_json),
        builder=optional("builder", lambda value: Builder(**value)),
    )


def _classes(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not value or not all(isinstance(name, str) for name in value):
        raise ValueError(f"expected a list of names, got {value!r}")
    return tuple(value)


def _in_channels(value: Any) -> int:
    check_positive("it", in_channels=value)
    return value


def _image_size(value: Any) -> tuple[int, int]:
    match value:
        case [int(height), int(width)] if min(height, width) > 0:
            return height, width
    raise ValueError(f"expected height and width in pixels, got {value!r}")
