import os
import sys
import time
from pathlib import Path

import pytest

from orbitconv._support.progress import silent
from orbitconv.data.errors import RouteError
from orbitconv.data.published import package_index
from orbitconv.data.published.package_index import npm_pack, pip_download
from raising import refuses


@pytest.fixture
def tool(tmp_path, monkeypatch):
    """Return a function that puts a command of this name, written in Python, first in the search path."""

    def make(name, code):
        folder = tmp_path / "bin"
        folder.mkdir(exist_ok=True)
        script = folder / name
        script.write_text(f"#!{sys.executable}\nimport pathlib, sys, time\n{code}\n")
        script.chmod(0o755)
        monkeypatch.setenv("PATH", str(folder))

    return make


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "archive").mkdir()
    return tmp_path / "archive"


def test_npm_packs_the_pinned_version_without_scripts(tool, folder):
    tool("npm", "pathlib.Path('tiny-1.0.tgz').write_text(' '.join(sys.argv[1:]))")
    archive = npm_pack("tiny@1.0")(folder, silent)
    assert archive == folder / "tiny-1.0.tgz"
    words = archive.read_text().split()
    assert (words[0], words[-1]) == ("pack", "tiny@1.0")
    assert "--ignore-scripts" in words


def test_pip_downloads_the_pinned_version_and_builds_nothing(tool, folder, monkeypatch):
    monkeypatch.setattr(package_index.importlib.util, "find_spec", lambda _: None)
    tool("pip", "pathlib.Path('tiny-1.0-py3-none-any.whl').write_text(' '.join(sys.argv[1:]))")
    words = pip_download("tiny==1.0")(folder, silent).read_text().split()
    assert (words[0], words[-1]) == ("download", "tiny==1.0")
    assert {"--no-deps", "--only-binary=:all:"} <= set(words)


def test_a_missing_command_is_named(folder, monkeypatch):
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.setattr(package_index.importlib.util, "find_spec", lambda _: None)
    refuses(RouteError, r"npm is not installed; it comes with Node\.js", npm_pack("tiny@1.0"), folder, silent)
    refuses(RouteError, "pip is not installed; add it with python -m ensurepip", pip_download("a==1"), folder, silent)


def test_error_of_a_failed_command_is_passed_on(tool, folder):
    tool("npm", "print('notice\\n' * 50, 'npm error 404 ' + 'x' * 999, file=sys.stderr); sys.exit(3)")
    with pytest.raises(RouteError, match=r"exit status 3: npm error 404 x") as caught:
        npm_pack("tiny@1.0")(folder, silent)
    assert len(str(caught.value)) < 500


def test_command_that_leaves_no_archive_has_failed(tool, folder):
    tool("npm", "")
    refuses(RouteError, r"exit status 0: no output", lambda: npm_pack("tiny@1.0")(folder, silent))


def test_interrupt_ends_the_command(tool, folder):
    tool("npm", "pathlib.Path('pid').write_text(str(__import__('os').getpid())); time.sleep(60)")

    def interrupt(what, done, total):
        if Path(folder, "pid").exists() and Path(folder, "pid").read_text():
            raise KeyboardInterrupt

    start = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        npm_pack("tiny@1.0")(folder, interrupt)
    assert time.monotonic() - start < 20
    with pytest.raises(ProcessLookupError):
        os.kill(int(Path(folder, "pid").read_text()), 0)
