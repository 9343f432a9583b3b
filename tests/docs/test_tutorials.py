"""Tutorials run as scripts, and their pages hold their code."""

import os
import re
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("matplotlib")
FOLDER = Path(__file__).parents[2] / "docs" / "tutorials"
TUTORIALS = sorted(path for path in FOLDER.glob("*.py") if path.stem != "render")


@pytest.mark.parametrize("script", TUTORIALS, ids=lambda path: path.stem)
def test_a_tutorial_runs_and_finds_the_grid(script, data_dir, tmp_path):
    environment = {
        **os.environ, "PYTHONPATH": str(FOLDER.parents[1]), "ORBITCONV_DATA": str(data_dir),
        "ORBITCONV_TUTORIAL": "small", "ORBITCONV_TUTORIAL_FIGURES": str(tmp_path),
    }  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-W", "error", script],
        capture_output=True, text=True, timeout=300, check=False, env=environment,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "pixels put in their right place: 784 of 784" in done.stdout
    assert {path.name for path in tmp_path.iterdir()} == figures(script.with_suffix(".md"))


@pytest.mark.parametrize("script", TUTORIALS, ids=lambda path: path.stem)
def test_a_page_holds_the_code_and_prose_of_its_script(script):
    cells = runpy.run_path(str(FOLDER / "render.py"))["cells"](script.read_text(encoding="utf-8"))
    page = script.with_suffix(".md").read_text(encoding="utf-8")
    stale = [text for prose, text in cells if (text if prose else f"```python\n{text}\n```") not in page]
    assert not stale, f"{script.name} has changed: run python docs/tutorials/render.py {script}"


@pytest.mark.parametrize("script", TUTORIALS, ids=lambda path: path.stem)
def test_figures_are_there_and_small(script):
    for name in figures(script.with_suffix(".md")):
        assert 1000 < (FOLDER / "figures" / name).stat().st_size < 200_000


def figures(page):
    """Names of the figures that a page shows."""
    return {Path(name).name for name in re.findall(r"!\[[^\]]*\]\(figures/([^)]+)\)", page.read_text(encoding="utf-8"))}
