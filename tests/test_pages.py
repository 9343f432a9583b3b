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


def test_a_table_whose_record_is_not_there_yet_says_so(monkeypatch):
    tables = pytest.importorskip("studies.pages.tables")

    def missing():
        raise FileNotFoundError

    monkeypatch.setattr(tables, "TABLES", {"gone": missing, "there": lambda: "| a |"})
    page = "Found:\n\n<!-- table: gone --><!-- end -->\n\n<!-- table: there -->old<!-- end -->"
    assert tables.filled(page, tables.rendered()) == (
        "Found:\n\n<!-- table: gone -->\n\nNot measured yet.\n\n<!-- end -->\n\n"
        "<!-- table: there -->\n\n| a |\n\n<!-- end -->"
    )
