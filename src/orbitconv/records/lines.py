"""JSON lines with checksums: damaged lines are refused, a truncated last line is told apart."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from orbitconv._support.json_text import parse_json

CHECKSUM = "checksum"
"""Name of the last field of every line."""


def checked_line(row: Mapping[str, Any]) -> str:
    """A row as one line of JSON."""
    return json.dumps({**row, CHECKSUM: _checksum(row)}, allow_nan=False) + "\n"


def parse_line(line: str, where: str) -> dict[str, Any]:
    """Parse a line that `checked_line` wrote."""
    try:
        row = parse_json(line)
        intact = isinstance(row, dict) and row.pop(CHECKSUM, None) == _checksum(row)
    except ValueError as error:
        raise ValueError(f"{where} is damaged: {error}.") from error
    if not intact:
        raise ValueError(f"{where} is damaged: its checksum does not match its content.")
    return row


def _checksum(row: Mapping[str, Any]) -> str:
    """The first 16 hexadecimal digits of the SHA-256 of a row in JSON."""
    return hashlib.sha256(json.dumps(row, allow_nan=False).encode()).hexdigest()[:16]
