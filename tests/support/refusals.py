"""How a command refuses."""

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from orbitconv.cli import main


def ended(words: Sequence[str], run: Callable[[Sequence[str]], object] = main) -> int:
    """The exit code of a command that ends its process."""
    with pytest.raises(SystemExit) as stopped:
        run(words)
    return stopped.value.code


def refused(
    capsys: pytest.CaptureFixture[str], words: Sequence[str], run: Callable[[Sequence[str]], object] = main, *,
    folder: Path | None = None,
) -> str:  # fmt: skip
    """What a command says, in one line; it must end with exit code 2, with no traceback and nothing new in a folder."""
    before = _files(folder)
    code, told = ended(words, run), capsys.readouterr()
    assert code == 2
    assert "Traceback" not in told.err + told.out
    assert _files(folder) == before
    return " ".join((told.err + told.out).replace("│", "").split())


def _files(folder: Path | None) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if "__pycache__" not in path.parts) if folder else []
