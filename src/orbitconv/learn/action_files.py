"""Learned actions as files: one safetensors file each, with the matrix and what is known about it."""

from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from orbitconv._support.checks import check_finite
from orbitconv._support.tensors_file import FileFormat, damaged, read_tensors, write_tensors
from orbitconv.learn.action import LearnedAction

FORMAT = FileFormat(name="orbitconv-action", version=1, kind="action", again="Get the file again, or learn it anew.")

_TENSORS = ("matrix", "confidence", "directions", "coverage")
_NUMBERS = ("rank", "error", "norm_error", "num_pairs", "unitary")


def save_action(
    action: LearnedAction, path: Path | str, *, closed: Float[Tensor, "p p"] | None = None, **metadata: Any
) -> None:
    """Write a learned action as one safetensors file, in one step: the file is whole or not there.

    Args:
        action: The action.
        path: File to write.
        closed: The generator that `close_group` made of it, to be kept beside it.
        **metadata: What shall be known about it, as JSON can hold it: transform, data, order, ...

    Raises:
        ValueError: If a number is not finite, or JSON cannot hold what shall be known.
        OSError: If the file cannot be written; a file that was there stays as it was.
    """
    tensors = {name: getattr(action, name) for name in _TENSORS}
    if closed is not None:
        if closed.shape != action.matrix.shape:
            raise ValueError(
                f"save_action expects a closed generator of shape {tuple(action.matrix.shape)}, as the matrix of the "
                f"action, got {tuple(closed.shape)}."
            )
        tensors["closed"] = closed
    for name, values in tensors.items():
        check_finite("save_action", name, values)
    described = {
        **metadata,
        "feature_shape": action.feature_shape,
        **{name: getattr(action, name) for name in _NUMBERS},
    }
    arrays = {name: values.detach().cpu().double().numpy() for name, values in tensors.items()}
    write_tensors(Path(path), arrays, described, FORMAT)


def read_action(path: Path | str) -> tuple[LearnedAction, dict[str, Any]]:
    """Read an action that `save_action` wrote.

    Args:
        path: File to read.

    Returns:
        The action, and what the file says about it; where the file holds a closed generator, that is the float64 tensor
        under `"closed"`.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file is no action, truncated, damaged or of a newer version.
    """
    path = Path(path)
    described, tables = read_tensors(path, FORMAT)
    try:
        shape = tuple(described["feature_shape"])
        tensors = {name: torch.from_numpy(table.copy()) for name, table in tables.items()}
        size = tensors["coverage"].numel()
        squares = {tuple(tensors[name].shape) for name in ("matrix", "closed") if name in tensors}
        if tuple(tensors["coverage"].shape) != shape or squares != {(size, size)}:
            raise ValueError("the parts of its head contradict each other")
        action = LearnedAction(
            feature_shape=shape,
            **{name: tensors[name] for name in _TENSORS},
            **{name: described[name] for name in _NUMBERS},
        )
    except (KeyError, TypeError, ValueError) as error:
        raise damaged(path, FORMAT) from error
    return action, described | ({"closed": tensors["closed"]} if "closed" in tensors else {})
