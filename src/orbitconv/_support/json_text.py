"""JSON from untrusted files."""

import json
import math
from pathlib import Path
from typing import Any, NoReturn


def parse_json(text: str | bytes) -> Any:
    """Parse JSON, and report every way in which it can be malformed as one kind of error."""
    try:
        return json.loads(text, parse_constant=_refuse)
    except RecursionError as error:
        raise ValueError("its JSON is nested too deeply") from error


def read_json(path: Path) -> Any:
    """Parse a JSON file, whose bytes must be UTF-8."""
    return parse_json(path.read_bytes())


def _refuse(word: str) -> NoReturn:
    raise ValueError(f"its JSON holds {word}")


def without_nan(value: Any) -> Any:
    """Figures as JSON can hold them: None in place of NaN and infinity."""
    if isinstance(value, dict):
        return {name: without_nan(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [without_nan(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
