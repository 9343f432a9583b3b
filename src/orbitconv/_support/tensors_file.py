"""Tables of numbers with a description, as one safetensors file that tells whether it is whole.

The format is read and written here, so that the core needs no further dependency; any safetensors library opens them.
"""

import hashlib
import json
import math
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from orbitconv._support.files import write_atomically


@dataclass(frozen=True, kw_only=True)
class FileFormat:
    """A kind of file.

    Args:
        name: Name that the file gives itself.
        version: Newest version that can be read, and the one that is written.
        kind: What the file holds, as its user calls it: basis, action.
        again: What to do if a file is damaged.
    """

    name: str
    version: int
    kind: str
    again: str


def write_tensors(
    path: Path, tensors: Mapping[str, Float[np.ndarray, "..."]], described: Mapping[str, Any], form: FileFormat
) -> None:
    """Write tables in float64 and their description, in one step: the file is whole or not there.

    Args:
        path: File to write.
        tensors: The tables by name.
        described: What shall be known about them, as JSON can hold it.
        form: What kind of file it is.

    Raises:
        ValueError: If JSON cannot hold the description.
        OSError: If the file cannot be written; a file that was there stays as it was.
    """
    try:
        text = json.dumps(described, allow_nan=False, sort_keys=True)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"save_{form.kind} expects metadata that JSON can hold, got {dict(described)}: {error}."
        ) from error
    places, data = {}, b""
    for name, table in tensors.items():
        content = np.ascontiguousarray(table, dtype="<f8").tobytes()
        places[name] = {"dtype": "F64", "shape": table.shape, "data_offsets": [len(data), len(data) + len(content)]}
        data += content
    header = {
        "__metadata__": {
            "format": form.name,
            "version": str(form.version),
            "sha256": hashlib.sha256(data).hexdigest(),
            f"{form.kind}_sha256": hashlib.sha256(text.encode()).hexdigest(),
            form.kind: text,
        },
        **places,
    }
    head = json.dumps(header).encode()
    head += b" " * (-len(head) % 8)
    write_atomically(path, struct.pack("<Q", len(head)) + head + data)


def read_tensors(path: Path, form: FileFormat) -> tuple[dict[str, Any], dict[str, Float[np.ndarray, "..."]]]:
    """Read a file that `write_tensors` wrote.

    Args:
        path: File to read.
        form: What kind of file it should be.

    Returns:
        The description, and the tables by name, which may not be written to.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file is of another kind, truncated, damaged or of a newer version.
    """
    content = path.read_bytes()
    try:
        (length,) = struct.unpack("<Q", content[:8])
        header = json.loads(content[8 : 8 + length])
        facts = header["__metadata__"]
        name, version = facts["format"], int(facts["version"])
    except (struct.error, ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{path} is no {form.kind} file, or its head is damaged. {form.again}") from error
    if name != form.name:
        raise ValueError(f"{path} is no {form.kind} file: its format is {name!r}, expected {form.name!r}.")
    if version > form.version:
        raise ValueError(
            f"{path} has format version {version}; this orbitconv reads up to {form.version}. Update orbitconv."
        )
    data = content[8 + length :]
    try:
        text, checksum = facts[form.kind], facts["sha256"]
        described = json.loads(text)
        own = hashlib.sha256(text.encode()).hexdigest()
        entries = {name: entry for name, entry in header.items() if name != "__metadata__"}
        places = {name: (*entry["data_offsets"], tuple(entry["shape"])) for name, entry in entries.items()}
        sound = (
            isinstance(described, dict)
            and facts.get(f"{form.kind}_sha256", own) == own  # the first files name no checksum of their description
            and all(entry["dtype"] == "F64" for entry in entries.values())
            and all(start >= 0 and 8 * math.prod(shape) == end - start for start, end, shape in places.values())
        )
        if not sound:
            raise ValueError("the parts of its head contradict each other")
        size = max(end for _, end, _ in places.values())
    except (ValueError, KeyError, TypeError, IndexError, AttributeError) as error:
        raise damaged(path, form) from error
    if len(data) < size:
        raise ValueError(f"{path} is truncated: expected {size} bytes of numbers, got {len(data)}. {form.again}")
    if hashlib.sha256(data).hexdigest() != checksum:
        raise ValueError(f"{path} is damaged: the checksum of its numbers differs from the one it names. {form.again}")
    tables = {
        name: np.frombuffer(data[start:end], dtype="<f8").reshape(shape) for name, (start, end, shape) in places.items()
    }
    return described, tables


def damaged(path: Path, form: FileFormat) -> ValueError:
    """The refusal of a file whose parts do not fit together.

    Args:
        path: The file.
        form: What kind of file it should be.

    Returns:
        The error, for the caller to raise.
    """
    return ValueError(f"{path} is damaged: its head does not describe a file of this kind ({form.kind}). {form.again}")
