"""Run a tutorial and write it as a page: its prose, its code, what it printed, its figures.

python docs/tutorials/render.py docs/tutorials/mlp_to_cnn.py
"""

import contextlib
import io
import re
import sys
from pathlib import Path


def cells(source: str) -> list[tuple[bool, str]]:
    """The cells of a script in percent format.

    Args:
        source: The script.

    Returns:
        For each cell, whether it is prose, and its text; what stands before the first cell is left out.
    """
    found = []
    for part in re.split(r"^# %%", source, flags=re.MULTILINE)[1:]:
        head, _, body = part.partition("\n")
        prose = "[markdown]" in head
        text = re.sub(r"^# ?", "", body, flags=re.MULTILINE) if prose else body
        found.append((prose, text.strip("\n")))
    return found


def render(script: Path) -> str:
    """Run a script cell by cell.

    Args:
        script: The script, in percent format.

    Returns:
        The page, in Markdown.
    """
    scope = {"__file__": str(script.resolve()), "__name__": "__main__"}
    parts = [f"<!-- Made by docs/tutorials/render.py from {script.name}; do not edit. -->"]
    for prose, text in cells(script.read_text(encoding="utf-8")):
        if prose:
            parts.append(text)
            continue
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(compile(text, script.name, "exec"), scope)
        parts.append(f"```python\n{text}\n```")
        if printed.getvalue():
            parts.append(f"```text\n{printed.getvalue().rstrip()}\n```")
    return "\n\n".join(parts) + "\n"


if __name__ == "__main__":
    for name in sys.argv[1:]:
        Path(name).with_suffix(".md").write_text(render(Path(name)), encoding="utf-8")
