"""The format of saved files: named tensors and a description, as one safetensors file with a checksum.

Bases, actions and networks are saved in it. The format is read and written here, so that the core needs no further
dependency; any safetensors library opens the files. The header's `__metadata__` has five entries: `format` (always
"orbitconv"), `kind`, `version`, `description` (JSON), and `sha256`: the SHA-256 of the whole file, header included, as
it is with 64 zeros in place of these 64 digits.

Source: https://huggingface.co/docs/safetensors, section "Format".
"""

import hashlib
import json
import math
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from orbitconv._support.files import write_atomically
from orbitconv._support.json_text import parse_json

FORMAT, VERSION = "orbitconv", 1

MAX_HEADER = 2**24
"""Longest header that is read, in bytes: room for 100,000 tensors."""

_DTYPES = {
    "F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16, "I64": torch.int64,
    "I32": torch.int32, "I16": torch.int16, "I8": torch.int8, "U8": torch.uint8, "BOOL": torch.bool,
}  # fmt: skip
_NAMES = {dtype: name for name, dtype in _DTYPES.items()}
_ZEROS = "0" * 64
_MAX_DIMS, _MAX_SIZE = 16, 2**48


@dataclass(frozen=True, eq=False, kw_only=True)
class Saved:
    """The content of a saved file: what it says about its tensors, and these by name, on the CPU."""

    description: dict[str, Any]
    tensors: dict[str, Tensor]


def write_saved(path: Path | str, kind: str, tensors: Mapping[str, Tensor], description: Mapping[str, Any]) -> None:
    """Write tensors, which may be on any device, and their description in one step: the file is complete or not there.

    `kind` is what it holds, as its user calls it: `"basis"`, `"action"`, `"network"`; errors name `save_KIND`. Tensors
    that share memory are written twice. The description is anything that JSON can hold.

    Raises:
        TypeError: If a tensor has a dtype that the format lacks.
        ValueError: If a tensor is not finite, or JSON cannot hold the description.
        OSError: If the file cannot be written; a file that was there stays as it was.
    """
    try:
        text = json.dumps(description, allow_nan=False, sort_keys=True)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"save_{kind} expects metadata that JSON can hold, got {dict(description)}: {error}."
        ) from error
    places: dict[str, Any] = {}
    parts: list[bytes] = []
    end = 0
    for name, tensor in tensors.items():
        if tensor.dtype not in _NAMES:
            raise TypeError(
                f"save_{kind} expects {name} of one of the dtypes {', '.join(_NAMES_SHOWN)}, got {tensor.dtype}."
            )
        if bad := _not_finite(tensor):
            raise ValueError(
                f"save_{kind} expects finite {name}, got {bad} NaN or infinite values among {tensor.numel()}."
            )
        content = tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes()
        places[name] = {
            "dtype": _NAMES[tensor.dtype], "shape": list(tensor.shape), "data_offsets": [end, end + len(content)],
        }  # fmt: skip
        end += len(content)
        parts.append(content)
    facts = {"format": FORMAT, "kind": kind, "version": str(VERSION), "description": text, "sha256": _ZEROS}
    header = json.dumps({"__metadata__": facts, **places}).encode()
    header += b" " * (-len(header) % 8)
    if len(header) > MAX_HEADER:
        raise ValueError(f"save_{kind} expects names and metadata of at most {MAX_HEADER} bytes, got {len(header)}.")
    data = b"".join(parts)
    write_atomically(Path(path), _with_checksum(header, _ZEROS, _digest(header, data)) + data)


def read_saved(path: Path | str, kind: str) -> Saved:
    """Read a file that `write_saved` wrote. Nothing is built before its size, header and checksum are verified."""
    path = Path(path)
    header, data, size = _parts(path, kind)
    try:
        parsed = parse_json(header)
        facts = parsed["__metadata__"]
        found, version = facts["kind"], int(facts["version"])
        if facts["format"] != FORMAT or not isinstance(found, str):
            raise ValueError("its format is another")
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise _foreign(path, kind) from error
    if version > VERSION:
        raise ValueError(
            f"{path} has format version {version}; this orbitconv reads up to {VERSION}. Update orbitconv."
        )
    if found != kind:
        raise ValueError(f"{path} holds a saved {found}, expected a saved {kind}.")
    try:
        places = {name: _place(entry) for name, entry in parsed.items() if name != "__metadata__"}
        end = 0
        for _, _, start, stop in sorted(places.values(), key=lambda place: place[2:]):
            if start != end:
                raise ValueError("its tensors overlap or leave gaps")
            end = stop
    except (ValueError, KeyError, TypeError) as error:
        raise damaged_file(path, str(error) if isinstance(error, ValueError) else "its header is malformed") from error
    expected = 8 + len(header) + end
    if size < expected:
        raise ValueError(f"{path} is truncated: expected {expected} bytes, got {size}. {_AGAIN}")
    checksum = facts.get("sha256")
    if not isinstance(checksum, str) or len(checksum) != 64:
        raise damaged_file(path, "it has no checksum")
    if _digest(_with_checksum(header, checksum, _ZEROS)[8:], data) != checksum:
        raise damaged_file(path, "its checksum differs from the one it names")
    try:
        description = parse_json(facts["description"])
        if not isinstance(description, dict):
            raise TypeError("its description is not a JSON object")
    except (ValueError, KeyError, TypeError) as error:
        raise damaged_file(path, "its description cannot be read") from error
    tensors = {name: _tensor(data, *place) for name, place in places.items()}
    for name, tensor in tensors.items():
        if bad := _not_finite(tensor):
            raise ValueError(f"{path} holds {bad} NaN or infinite values in {name!r}; expected finite numbers.")
    return Saved(description=description, tensors=tensors)


def damaged_file(path: Path | str, reason: str) -> ValueError:
    """The refusal of a file whose parts do not fit together."""
    return ValueError(f"{path} is damaged: {reason}. {_AGAIN}")


_AGAIN = "Copy the file again, or make it anew."
_NAMES_SHOWN = [str(dtype).removeprefix("torch.") for dtype in _NAMES]

_Place = tuple[torch.dtype, tuple[int, ...], int, int]


def _parts(path: Path, kind: str) -> tuple[bytes, bytes, int]:
    """Header and data of a file, and its size in bytes."""
    if path.exists() and not path.is_file():  # opening a pipe would wait for ever
        raise ValueError(f"{path} is not a regular file; expected a saved {kind}.")
    with path.open("rb") as file:
        prefix = file.read(8)
        length = struct.unpack("<Q", prefix)[0] if len(prefix) == 8 else None
        if length is None or length > MAX_HEADER:
            raise _foreign(path, kind)
        header = file.read(length)
        if len(header) < length:
            raise _foreign(path, kind)
        data = file.read()
        return header, data, 8 + length + len(data)


def _place(entry: Mapping[str, Any]) -> _Place:
    """Dtype, shape, start and end of a tensor, consistent with each other."""
    dtype, shape, (start, stop) = _DTYPES.get(entry["dtype"]), tuple(entry["shape"]), entry["data_offsets"]
    if dtype is None:
        raise ValueError(f"its dtype {entry['dtype']!r} is unknown")
    if not all(type(number) is int and number >= 0 for number in (*shape, start, stop)):
        raise ValueError("its header is malformed")
    if len(shape) > _MAX_DIMS or math.prod(max(length, 1) for length in shape) > _MAX_SIZE:
        raise ValueError("a shape in its header is too large")  # empty tensors too can be
    if math.prod(shape) * dtype.itemsize != stop - start:
        raise ValueError("a shape in its header differs from the size of its tensor")
    return dtype, shape, start, stop


def _tensor(data: bytes, dtype: torch.dtype, shape: tuple[int, ...], start: int, stop: int) -> Tensor:
    """One tensor, in memory of its own."""
    if start == stop:
        return torch.empty(shape, dtype=dtype)
    return torch.frombuffer(bytearray(data[start:stop]), dtype=dtype).reshape(shape)


def _digest(header: bytes, data: bytes) -> str:
    """SHA-256 of a whole file."""
    digest = hashlib.sha256(struct.pack("<Q", len(header)))
    digest.update(header)
    digest.update(data)
    return digest.hexdigest()


def _with_checksum(header: bytes, old: str, new: str) -> bytes:
    """The beginning of a file with another checksum in its header. Quotes within the description are escaped."""
    return struct.pack("<Q", len(header)) + header.replace(f'"sha256": "{old}"'.encode(), f'"sha256": "{new}"'.encode())


def _not_finite(tensor: Tensor) -> int:
    """How many numbers of a tensor are NaN or infinite."""
    return int((~torch.isfinite(tensor)).sum()) if tensor.is_floating_point() else 0


def _foreign(path: Path, kind: str) -> ValueError:
    return ValueError(
        f"{path} is not a saved {kind}: it has no header of orbitconv's format, or a damaged one. {_AGAIN}"
    )
