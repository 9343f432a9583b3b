"""The README: short, and its code runs where only the core is installed and nothing was downloaded."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from orbitconv.cli.commands import COMMANDS

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "README.md").read_text(encoding="utf-8")
CORE = """
import sys

class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {names}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Missing())
"""
OPTIONAL = {"kornia", "lightning_fabric", "matplotlib", "onnx", "optuna", "PIL", "pooch", "pydantic", "rich",
            "safetensors", "scipy", "skimage", "tensorboard", "tifffile", "tyro"}  # fmt: skip


def test_it_is_at_most_120_lines():
    assert len(TEXT.splitlines()) <= 120


@pytest.mark.parametrize("block", re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL))
def test_its_code_runs_on_a_core_install_with_an_empty_cache(tmp_path, block):
    environment = {**os.environ, "ORBITCONV_CACHE": str(tmp_path / "cache"), "ORBITCONV_DATA": str(tmp_path)}
    program = CORE.format(names=OPTIONAL) + block
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_its_commands_are_there():
    words = [shlex.split(line, comments=True) for line in TEXT.splitlines() if line.startswith("    orbitconv ")]
    assert words
    assert {command[1] for command in words} <= set(COMMANDS)
    targets = re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    assert set(re.findall(r"^    make (\w+)", TEXT, re.MULTILINE)) <= set(targets)


def test_its_links_lead_somewhere():
    links = [link.partition("#")[0] for link in re.findall(r"\]\((?!http)([^)]+)\)", TEXT)]
    assert links
    assert [link for link in links if link and not (ROOT / link).exists()] == []
