"""JSON from files that anybody may have written."""

import json
from typing import Any, NoReturn


def parse_json(text: str | bytes) -> Any:
    """Parse JSON, and report every way in which it can be malformed as one kind of error.

    Args:
        text: The text, or its UTF-8 bytes.

    Returns:
        What it says.

    Raises:
        ValueError: If it is not JSON, holds NaN or infinity, which JSON does not have, or is nested too deeply.
    """
    try:
        return json.loads(text, parse_constant=_refuse)
    except RecursionError as error:
        raise ValueError("its JSON is nested too deeply") from error


def _refuse(word: str) -> NoReturn:
    raise ValueError(f"its JSON holds {word}")
