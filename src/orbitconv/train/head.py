"""The head of the file of a trained network: what it takes to build the network again, and a checksum of the file."""

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor

from orbitconv.data.scaling import Scaling
from orbitconv.groups import Group, parse_group
from orbitconv.train.builder import Builder
from orbitconv.train.config import TrainConfig, parse_config
from orbitconv.train.task import Classification, Task
from orbitconv.train.tasks import task_from_json, task_to_json

T = TypeVar("T")

FORMAT, VERSION = "orbitconv network", 2

_NEEDED = ("version", "config", "in_channels", "classes")


@dataclass(frozen=True, kw_only=True)
class Head:
    """What is known about a trained network.

    Args:
        config: Settings of its training.
        classes: Names of the classes, in the order of the scores.
        in_channels: Channels of the images.
        image_size: Height and width of the images it was trained on, in pixels; None if that is not known.
        group: Group of the basis that is in the file; None if none is.
        task: What it has learned.
        scaling: How the numbers of picture files become those it takes; None for the range of their type as 0 to 1.
        builder: What builds it; None for the network that the settings name.
    """

    config: TrainConfig
    classes: tuple[str, ...]
    in_channels: int
    image_size: tuple[int, int] | None
    group: Group | None
    task: Task = field(default_factory=Classification)
    scaling: Scaling | None = None
    builder: Builder | None = None

    def facts(self, tensors: Mapping[str, Tensor]) -> dict[str, str]:
        """The head as a safetensors file holds it.

        Args:
            tensors: The tensors of the file.

        Returns:
            Names and values, the checksum among them.
        """
        facts = {
            "format": FORMAT,
            "version": str(VERSION),
            "config": json.dumps(asdict(self.config)),
            "in_channels": str(self.in_channels),
            "classes": json.dumps(self.classes),
            "task": json.dumps(task_to_json(self.task)),
        }
        if self.scaling is not None:
            facts["scaling"] = json.dumps(self.scaling.to_json())
        if self.builder is not None:
            facts["builder"] = json.dumps(asdict(self.builder))
        if self.image_size is not None:
            facts["image_size"] = json.dumps(self.image_size)
        if self.group is not None:
            facts["group"] = self.group.name
        return {**facts, "sha256": _digest(tensors, facts)}


def read_head(facts: Mapping[str, str], tensors: Mapping[str, Tensor], path: Path) -> Head:
    """The head of a file, once the file is known to be whole.

    The checksum of files of version 1 is of their tensors alone, and the first of them have none: what their head says
    is taken as it is where it makes sense.

    Args:
        facts: Names and values, as a safetensors file holds them.
        tensors: The tensors of the file.
        path: The file, for the error.

    Returns:
        The head.

    Raises:
        ValueError: If the file is damaged, of another kind or of a newer version.
    """
    if facts.get("format") != FORMAT:
        raise ValueError(f"{path} is no trained network: its format is {facts.get('format')!r}, expected {FORMAT!r}.")
    if missing := [name for name in _NEEDED if name not in facts]:
        raise ValueError(f"{path} is damaged: its head names no {', '.join(missing)}.")
    version = _number(facts, "version", path)
    if version > VERSION:
        raise ValueError(f"{path} has version {version}; this orbitconv reads up to {VERSION}. Update it.")
    described = {name: value for name, value in facts.items() if name != "sha256"} if version > 1 else None
    if (version > 1 or "sha256" in facts) and facts.get("sha256") != _digest(tensors, described):
        what = "head or its numbers" if version > 1 else "numbers"
        raise ValueError(f"{path} is damaged: its {what} are not those that were written. Copy the file again.")
    return Head(
        config=parse_config(facts["config"], f"The head of {path}"),
        classes=_classes(facts, path),
        in_channels=_number(facts, "in_channels", path),
        image_size=_image_size(facts, path) if "image_size" in facts else None,
        group=_group(facts, path) if "basis" in tensors else None,
        task=_made(facts, "task", path, task_from_json) if "task" in facts else Classification(),
        scaling=_made(facts, "scaling", path, Scaling.from_json) if "scaling" in facts else None,
        builder=_made(facts, "builder", path, lambda values: Builder(**values)) if "builder" in facts else None,
    )


def _made(facts: Mapping[str, str], name: str, path: Path, make: Callable[[Any], T]) -> T:
    """What a function makes of values in JSON."""
    try:
        values = _parsed(facts[name])
        if not isinstance(values, dict):
            raise TypeError("it is no object of JSON")
        return make(values)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{path} is damaged: its head says no {name} ({error}). Copy the file again.") from error


def _digest(tensors: Mapping[str, Tensor], facts: Mapping[str, str] | None) -> str:
    """Checksum of the head, if it is given, and of names, shapes and numbers."""
    digest = hashlib.sha256(b"" if facts is None else json.dumps(sorted(facts.items())).encode())
    for name, tensor in sorted(tensors.items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.contiguous().flatten().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def _number(facts: Mapping[str, str], name: str, path: Path) -> int:
    if not re.fullmatch(r"[1-9][0-9]*", facts[name]):
        raise _damaged(facts, name, "a number of one or more", path)
    return int(facts[name])


def _classes(facts: Mapping[str, str], path: Path) -> tuple[str, ...]:
    match _parsed(facts["classes"]):
        case [*names] if names and all(isinstance(name, str) for name in names):
            return tuple(names)
    raise _damaged(facts, "classes", "a list of names", path)


def _image_size(facts: Mapping[str, str], path: Path) -> tuple[int, int]:
    match _parsed(facts["image_size"]):
        case [int(height), int(width)] if min(height, width) > 0:
            return height, width
    raise _damaged(facts, "image_size", "height and width in pixels", path)


def _group(facts: Mapping[str, str], path: Path) -> Group:
    try:
        return parse_group(facts.get("group", ""))
    except ValueError as error:
        raise _damaged(facts, "group", "the group of the basis that is in the file, such as C8", path) from error


def _parsed(text: str) -> object:
    """What JSON says; None if it is none."""
    try:
        return json.loads(text)
    except ValueError:
        return None


def _damaged(facts: Mapping[str, str], name: str, expected: str, path: Path) -> ValueError:
    """The refusal of a value that makes no sense."""
    return ValueError(
        f"{path} is damaged: its head should say {name} as {expected}, got {facts.get(name)!r}. Copy the file again."
    )
