"""The pages: README and docs, block by block."""

import re
import shlex
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = sorted([ROOT / "README.md", *(path for path in (ROOT / "docs").rglob("*.md") if "_build" not in path.parts)])


@dataclass(frozen=True)
class Block:
    """A fenced block: its kind and its text."""

    kind: str
    text: str


def blocks(page: Path) -> list[Block]:
    """All fenced blocks of a page."""
    found = re.findall(r"^```(\w+)\n(.*?)^```", page.read_text("utf-8"), re.DOTALL | re.MULTILINE)
    return [Block(*one) for one in found]


def commands(page: Path) -> list[list[str]]:
    """Words of every command of a page: lines of indented paragraphs and of blocks of the shell."""
    prose = re.sub(r"^```.*?^```", "", page.read_text("utf-8"), flags=re.DOTALL | re.MULTILINE)
    lines = [line[4:] for line in prose.splitlines() if line.startswith("    ")]
    lines += [line for block in blocks(page) if block.kind == "sh" for line in block.text.splitlines()]
    calls = [line for line in lines if re.match(r"orbitconv |\S*python -m |torchrun |sh .*&& ", line)]
    return [shlex.split(part, comments=True) for call in calls for part in call.split("&&")]
