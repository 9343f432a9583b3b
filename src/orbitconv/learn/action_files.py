"""Learned actions as files: one safetensors file each, with the matrix and what is known about it."""

import math
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from orbitconv._support.saved import damaged_file, read_saved, write_saved
from orbitconv.learn.action import LearnedAction

_TENSORS = ("matrix", "confidence", "directions", "coverage")
_NUMBERS = {"rank": {int}, "error": {int, float}, "norm_error": {int, float}, "num_pairs": {int}, "unitary": {bool}}


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
    described = {
        **metadata,
        "feature_shape": action.feature_shape,
        **{name: getattr(action, name) for name in _NUMBERS},
    }
    write_saved(path, "action", {name: values.double() for name, values in tensors.items()}, described)


def read_action(path: Path | str) -> tuple[LearnedAction, dict[str, Any]]:
    """Read an action that `save_action` wrote.

    Args:
        path: File to read.

    Returns:
        The action, and what the file says about it; where the file holds a closed generator, that is the float64 tensor
        under `"closed"`.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file holds no action, is truncated, damaged or of a newer version.
    """
    saved = read_saved(path, "action")
    described, tensors = saved.description, saved.tensors
    try:
        shape = tuple(described["feature_shape"])
        size = math.prod(shape)
        expected = {
            "matrix": (size, size), "closed": (size, size), "coverage": shape, "directions": (described["rank"], size),
            "confidence": (len(tensors["confidence"]),),
        }  # fmt: skip
        for name, tensor in tensors.items():
            if tuple(tensor.shape) != expected[name] or tensor.dtype != torch.float64:
                raise ValueError(f"its {name} does not fit an action on features of shape {shape}")
        if not all(type(described[name]) in kinds for name, kinds in _NUMBERS.items()):
            raise TypeError("a number of another type")
        action = LearnedAction(
            feature_shape=shape,
            **{name: tensors[name] for name in _TENSORS},
            **{name: described[name] for name in _NUMBERS},
        )
    except (KeyError, TypeError, ValueError) as error:
        reason = str(error) if isinstance(error, ValueError) else "it does not describe an action"
        raise damaged_file(path, reason) from error
    return action, described | ({"closed": tensors["closed"]} if "closed" in tensors else {})
