"""The pages say what the records hold."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def test_tables_of_the_pages_are_those_of_the_records():
    script = ROOT / "studies" / "pages" / "tables.py"
    if not script.exists():
        pytest.skip("only a checkout has the pages")
    done = subprocess.run(
        [sys.executable, "-m", "studies.pages.tables", "--check"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
