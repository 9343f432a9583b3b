"""Checkpoints: a folder with a safetensors file, a JSON file of plain state, and a list of both with checksums.

A checkpoint appears under its name in one step, when all of it is on the disk; then the older one is removed.
"""

import hashlib
import io
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from orbitconv._support.files import write_atomically
from orbitconv._support.optional import import_optional
from orbitconv.records.lines import checked_line, parse_line

FORMAT = 1
"""Version of the format."""

_WEIGHTS, _STATE, _LIST = "weights.safetensors", "state.pt", "checkpoint.json"
_AGAIN = "Start again in another folder."


@dataclass(frozen=True, eq=False, kw_only=True)
class Checkpoint:
    """The state of a training after some steps: tensors of networks, on the CPU, none sharing memory, and all else.

    The rest is tensors, numbers, strings, and dictionaries and lists of them.
    """

    step: int
    weights: dict[str, Tensor]
    rest: dict[str, Any]


def write_checkpoint(folder: Path, checkpoint: Checkpoint) -> None:
    """Write a checkpoint, then remove all others; after an error the one before it is still there."""
    safetensors = import_optional("safetensors.torch", "train", "orbitconv's training")
    target = folder / _name(checkpoint.step)
    if target.exists():  # of the same step, so of the same content
        return
    work = folder / f".{target.name}.tmp"
    buffer = io.BytesIO()
    torch.save(checkpoint.rest, buffer)
    contents = {_WEIGHTS: safetensors.save(checkpoint.weights), _STATE: buffer.getvalue()}
    described = {"format": FORMAT, "step": checkpoint.step, "sha256": {n: _digest(c) for n, c in contents.items()}}
    listed = checked_line(described)
    shutil.rmtree(work, ignore_errors=True)
    try:
        for name, content in contents.items():
            write_atomically(work / name, content)
        write_atomically(work / _LIST, listed)
        work.rename(target)
        _sync(folder)
    except BaseException:
        shutil.rmtree(work, ignore_errors=True)
        raise
    for old in folder.iterdir():
        if old != target:
            shutil.rmtree(old, ignore_errors=True)


def read_checkpoint(folder: Path) -> Checkpoint | None:
    """Read the last checkpoint."""
    found = sorted(folder.glob("step-*"))
    if not found:
        return None
    safetensors = import_optional("safetensors.torch", "train", "orbitconv's training")
    path = found[-1]
    try:
        described = parse_line((path / _LIST).read_text(encoding="utf-8"), _LIST)
        version, name, expected = described["format"], _name(described["step"]), dict(described["sha256"])
        contents = {file: (path / file).read_bytes() for file in (_WEIGHTS, _STATE)}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{path} cannot be read as a checkpoint: {error}. {_AGAIN}") from error
    if version != FORMAT:
        raise ValueError(f"{path} has format {version}, this version of orbitconv reads format {FORMAT}. {_AGAIN}")
    if path.name != name:
        raise ValueError(f"{path} is damaged: its list is of {name}. {_AGAIN}")
    damaged = [file for file, content in contents.items() if _digest(content) != expected.get(file)]
    if damaged:
        raise ValueError(f"{path / damaged[0]} is damaged: it differs from what was written. {_AGAIN}")
    rest = torch.load(io.BytesIO(contents[_STATE]), map_location="cpu", weights_only=True)
    return Checkpoint(step=described["step"], weights=safetensors.load(contents[_WEIGHTS]), rest=rest)


def _name(step: int) -> str:
    """Name of the folder of a checkpoint."""
    return f"step-{step:09d}"


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _sync(folder: Path) -> None:
    """Sync a folder to disk, where the system supports it."""
    if os.name == "posix":
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
