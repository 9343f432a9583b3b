"""How a command refuses."""

from collections.abc import Sequence

import pytest

from orbitconv.cli import main


def refused(capsys: pytest.CaptureFixture[str], words: Sequence[str]) -> str:
    """What a command writes to standard error, in one line; it must end with exit code 2 and no traceback."""
    with pytest.raises(SystemExit) as ended:
        main(words)
    told = capsys.readouterr()
    assert ended.value.code == 2
    assert "Traceback" not in told.err + told.out
    return " ".join(told.err.split())
