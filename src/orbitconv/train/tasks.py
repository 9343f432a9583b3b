"""Tasks by their names, as files hold them."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from orbitconv._support.checks import did_you_mean
from orbitconv.train.segmentation import Segmentation
from orbitconv.train.task import Classification, MultiLabel, Task

TASKS: Mapping[str, type[Any]] = {task.name: task for task in (Classification, MultiLabel, Segmentation)}
"""Every task, a dataclass of numbers each."""


def task_to_json(task: Task) -> dict[str, Any]:
    """A task as plain values."""
    return {"name": task.name, **asdict(task)}  # type: ignore[call-overload]


def task_from_json(values: Mapping[str, Any]) -> Task:
    """Read what `task_to_json` wrote."""
    options = dict(values)
    name = options.pop("name", None)
    if not isinstance(name, str) or name not in TASKS:
        hint = did_you_mean(str(name), TASKS)
        raise ValueError(f"There is no task named {name!r}.{hint} There are {', '.join(TASKS)}.")
    if isinstance(options.get("class_weights"), list):
        options["class_weights"] = tuple(map(float, options["class_weights"]))
    try:
        return TASKS[name](**options)
    except TypeError as error:
        raise ValueError(f"The task {name!r} cannot be made of {options}: {error}.") from error
