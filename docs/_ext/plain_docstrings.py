"""Docstrings are plain text with `code` in backticks: stars and bars in them are no markup."""

import re
from typing import Any

from sphinx.application import Sphinx

_MARKUP = re.compile(r"(`[^`]*`)|(:\n\n(?: {4,}.*\n|\n)+)|([*|]|(?<=\w)_(?!\w))")
"""What stands in backticks; a colon and the indented lines after it, which are code; characters that are markup."""


def escaped(text: str) -> str:
    """A docstring with its markup escaped, but for what stands in backticks.

    Args:
        text: A docstring.

    Returns:
        The same as reStructuredText.
    """
    return _MARKUP.sub(_replaced, text)


def _replaced(found: re.Match[str]) -> str:
    if found[1]:
        return found[1]
    return f":{found[2]}" if found[2] else f"\\{found[3]}"


def escape(_app: Sphinx, _kind: str, _name: str, _value: object, _options: object, lines: list[str]) -> None:
    """Change the lines of a docstring in place."""
    lines[:] = escaped("\n".join(lines)).split("\n")


def setup(app: Sphinx) -> dict[str, Any]:
    """Escape before the sections of a docstring are read."""
    app.connect("autodoc-process-docstring", escape, priority=400)
    return {"parallel_read_safe": True}
