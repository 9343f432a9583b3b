"""What importing the package costs and brings."""

import importlib.metadata
import json
import re
import subprocess
import sys
import tomllib
from importlib.resources import files
from pathlib import Path

import pytest

import orbitconv

ROOT = Path(__file__).parents[1]
PROBE = """
import json, sys, time, torch
settings = lambda: [str(torch.get_default_dtype()), torch.get_num_threads(), int(torch.get_rng_state().sum())]
modules, before = set(sys.modules), settings()
start = time.process_time()
import orbitconv
seconds = time.process_time() - start
print(json.dumps([seconds, sorted(set(sys.modules) - modules), before == settings()]))
"""


@pytest.fixture(scope="module")
def imports() -> list[tuple[float, list[str], bool]]:
    """Seconds of the processor, new modules and whether all settings stayed, for three fresh interpreters."""
    command = [sys.executable, "-c", PROBE]
    return [json.loads(subprocess.run(command, check=True, capture_output=True).stdout) for _ in range(3)]


def test_imports_in_under_a_third_of_a_second_beyond_torch(imports):
    assert min(seconds for seconds, _, _ in imports) < 0.3


def test_brings_no_optional_dependency(imports):
    brought = {name.partition(".")[0] for name in imports[0][1]}
    assert "orbitconv" in brought
    assert brought & {"matplotlib", "rich", "tyro", "pooch", "PIL", "scipy", "skimage", "pandas"} == set()


def test_import_changes_no_global_setting(imports):
    assert imports[0][2]


def test_version_is_that_of_the_distribution():
    assert orbitconv.__version__ == importlib.metadata.version("orbitconv")


def test_importing_all_names_leaves_nn_of_torch_alone():
    names = {"nn": "that of torch"}
    exec("from orbitconv import *", names)
    assert names["nn"] == "that of torch"
    assert {"GroupConv2d", "Cyclic", "measure_moments"} <= names.keys()


def test_is_marked_as_typed():
    assert files("orbitconv").joinpath("py.typed").is_file()


def test_the_lowest_versions_are_tested_and_told():
    allowed = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    lowest = dict(one.split(">=") for one in allowed)
    script, readme = ((ROOT / name).read_text() for name in ("scripts/test_versions.sh", "README.md"))
    assert f"TORCH=torch=={lowest['torch']}.0" in script
    assert f"numpy=={lowest['numpy']}.*" in script
    assert f"torch {lowest['torch']} or newer" in readme


def test_every_hint_to_install_works_before_a_release():
    """Nothing is on an index yet: what is installed comes from a checkout."""
    texts = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("src/**/*.py"), *ROOT.glob("studies/**/*.py")]
    assert [path for path in texts if re.search(r"pip install (-\S+ )*['\"]?orbitconv", path.read_text("utf-8"))] == []
