"""The record of a study: what was measured, by which command, with which code, on which machine."""

import os
import platform
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

from orbitconv._support.files import write_atomically
from orbitconv._support.folders import to_json

Row = dict[str, str | int | float | None]

Machine = dict[str, str | int]

_REQUIRED = (
    "family", "group", "kernel", "seed", "train", "test", "test_error_percent", "parameters", "seconds",
)  # fmt: skip


@dataclass(frozen=True)
class Provenance:
    """Commits of the code that made the rows of a record, and the machines that it ran on."""

    commits: tuple[str, ...] = ()
    machines: tuple[Machine, ...] = ()

    @staticmethod
    def here() -> "Provenance":
        """This code on this machine."""
        source = commit()
        return Provenance(() if source is None else (source,), (machine(),))

    @staticmethod
    def of(record: Mapping[str, Any]) -> "Provenance":
        """The provenance in a record."""
        machines = record.get("machines") or [record.get("machine")]
        return Provenance(
            tuple(filter(None, (record.get("commit") or "").split(", "))), tuple(one for one in machines if one)
        )

    def __or__(self, other: "Provenance") -> "Provenance":
        """Merge two, without duplicates."""
        commits = dict.fromkeys(self.commits + other.commits)
        new = [one for one in other.machines if one not in self.machines]
        return Provenance(tuple(commits), (*self.machines, *new))

    def as_dict(self) -> dict[str, Any]:
        """Columns of a record: commit and machine, and all machines if there are several."""
        several = {"machines": list(self.machines)} if len(self.machines) > 1 else {}
        return {
            "commit": ", ".join(self.commits) or None,
            "machine": self.machines[0] if self.machines else machine(),
            **several,
        }


@dataclass(kw_only=True)
class Record:
    """One study, its settings and the command that reproduces it, one flat row per measurement, and further facts.

    Code and machine are taken when the study begins: files may change while it runs.
    """

    study: str
    command: str
    config: dict[str, Any]
    rows: list[Row] = field(default_factory=list)
    extra: dict[str, Any] = field(default_factory=dict)
    source: Provenance = field(default_factory=Provenance.here)

    def add(self, **columns: str | int | float | None) -> None:
        """Add a measurement as a row.

        It has at least family (plain, exact, ...), group (c1, c4, ...), kernel, seed, train, test, test_error_percent,
        parameters and seconds.
        """
        missing = [name for name in _REQUIRED if name not in columns]
        if missing:
            raise ValueError(f"A row of a record expects the columns {_REQUIRED}, got none of {missing}.")
        self.rows.append(dict(columns))

    def as_dict(self) -> dict[str, Any]:
        """The record as JSON can hold it, with the versions of this process."""
        return {
            "study": self.study,
            "command": self.command,
            **self.source.as_dict(),
            "versions": versions(),
            "config": self.config,
            **self.extra,
            "rows": self.rows,
        }

    def write(self, path: Path) -> None:
        """Write the record in one step."""
        write_atomically(path, to_json(self.as_dict()))


def commit() -> str | None:
    """Hash of the commit that this code runs from, "+changes" if files differ from it; None outside a checkout."""
    source = Path(__file__).resolve().parents[3]
    if not (source / ".git").exists():
        return None

    def git(*arguments: str) -> str:
        done = subprocess.run(["git", "-C", source, *arguments], capture_output=True, text=True, check=True)
        return done.stdout.strip()

    try:
        changed = git("status", "--porcelain", "--untracked-files=no", "--", "src", "studies", "pyproject.toml")
        return git("rev-parse", "HEAD") + ("+changes" if changed else "")
    except (OSError, subprocess.CalledProcessError):
        return None


def versions() -> dict[str, str]:
    """Versions of Python and of the libraries that results depend on."""
    found = {"python": platform.python_version(), "torch": str(torch.__version__)}
    for name in ("orbitconv", "numpy", "escnn", "e2cnn"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def machine() -> Machine:
    """System, processor, cores and threads, and the GPU if torch sees one; without host or user names."""
    facts: Machine = {
        "system": f"{platform.system()} {platform.machine()}",
        "processor": _processor(),
        "cores": os.cpu_count() or 1,
        "threads": torch.get_num_threads(),
    }
    if torch.cuda.is_available():
        facts["gpu"] = torch.cuda.get_device_name()
    return facts


def _processor() -> str:
    """Name of the processor, as the system reports it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or "unknown"
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or "unknown"
