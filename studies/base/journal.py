"""Long studies, part by part: finished parts are stored, stopped studies resume, several processes share the work."""

import json
import os
import re
import shutil
import time
from collections.abc import Callable, Collection, Mapping
from functools import reduce
from operator import or_
from pathlib import Path
from typing import Any

from orbitconv._support.files import write_atomically
from orbitconv._support.folders import holds_files
from orbitconv._support.json_text import parse_json
from orbitconv._support.locks import exclusive, lock
from orbitconv.records.lines import checked_line, parse_line
from orbitconv.records.record import Provenance, Row
from orbitconv.records.settings import file_digest

NAME = "journal.jsonl"

# A lock that processes share while they work, and that whoever deletes what is there must hold exclusively.
_AT_WORK = "at-work"
# Seconds between two looks at the parts that other processes are at.
_PATIENCE = 2.0


class Journal:
    """A file of finished parts, one JSON line each, after a first line that says which study they belong to.

    Several processes, on one machine or on several that share the folder, may work on one study: each takes parts that
    no other process is working on.
    """

    def __init__(
        self, folder: Path, settings: Mapping[str, Any], *, overwrite: bool = False, also: Collection[str] = ()
    ) -> None:
        foreign = holds_files(folder, "study")
        self.path = folder / NAME
        self._locks = folder / ".locks"
        self._parts: dict[str, list[Row]] = {}
        self._sources: dict[str, Provenance] = {}
        self._digests: dict[str, str] = {}
        self._wanted = json.loads(json.dumps(dict(settings), allow_nan=False))
        if foreign and not self.path.exists() and not overwrite:
            raise FileExistsError(
                f"{folder} holds something else already. Choose another folder with --out, or replace it with "
                "--overwrite."
            )
        self._locks.mkdir(parents=True, exist_ok=True)
        if overwrite:
            self._forget(also)
        with lock(self._locks / "journal", wait=True):
            if not self.path.exists():
                write_atomically(self.path, checked_line({"settings": self._wanted}))
        self._read()

    def rows(self, part: str, make: Callable[[], list[Row]]) -> list[Row]:
        """The rows of one part, read from the journal if the part is done."""
        return self.collect({part: make})[part]

    def collect(self, parts: Mapping[str, Callable[[], list[Row]]]) -> dict[str, list[Row]]:
        """The rows of several parts, in their order; waits for parts that another process is working on."""
        left = [part for part in parts if part not in self._parts]
        with lock(self._locks / _AT_WORK, wait=True, shared=True):
            while left:
                done = [part for part in left if self._try(part, parts[part])]
                left = [part for part in left if part not in done]
                if left and not done:
                    time.sleep(_PATIENCE)
        return {part: self._parts[part] for part in parts}

    def adopt(self, part: str, rows: list[Row], source: Provenance) -> None:
        """Store a part that was computed elsewhere, unless it is done here."""
        self._read()
        if part not in self._parts:
            self._add(part, rows, source)

    def pin(self, path: Path) -> None:
        """Store the checksum of an input file, or refuse the file if it has changed since a part read it."""
        name, digest = path.relative_to(self.path.parent).as_posix(), file_digest(path)
        self._read()
        if self._digests.get(name, digest) != digest:
            raise ValueError(
                f"{path} has changed since parts of the study were made with it. Restore it, or start over with "
                "--overwrite."
            )
        if name not in self._digests:
            self._digests[name] = digest
            self._write({"input": name, "sha256": digest})

    @property
    def source(self) -> Provenance:
        """Provenance of all parts."""
        return reduce(or_, self._sources.values(), Provenance())

    @property
    def done(self) -> dict[str, list[Row]]:
        """The rows of all finished parts, by any process."""
        self._read()
        return dict(self._parts)

    def _forget(self, also: Collection[str]) -> None:
        """Delete the journal and the folders in `also`, unless a process is working here."""
        with exclusive(self._locks / _AT_WORK, self.path.parent):
            self.path.unlink(missing_ok=True)
            for folder in (self.path.parent / name for name in also):
                if folder.exists():
                    shutil.rmtree(folder)

    def _try(self, part: str, make: Callable[[], list[Row]]) -> bool:
        """Compute a part unless another process has it or has finished it; returns whether its rows are available."""
        name = re.sub(r"[^a-z0-9.]+", "-", part.lower())
        with lock(self._locks / name, wait=False) as held:
            if not held:
                return False
            self._read()
            if part not in self._parts:
                self._add(part, make(), Provenance.here())
        return True

    def _add(self, part: str, rows: list[Row], source: Provenance) -> None:
        """Store a part in one line; a truncated line is ignored when the file is read."""
        self._write({"part": part, **source.as_dict(), "rows": rows})
        self._keep(part, rows, source)

    def _write(self, content: Mapping[str, Any]) -> None:
        """Append a line, completely or not at all."""
        line = checked_line(content)
        with lock(self._locks / "journal", wait=True), self.path.open("rb+") as file:
            self._check(file.readline().decode())  # it may have begun anew where there are no locks
            if file.seek(0, os.SEEK_END) and (file.seek(-1, os.SEEK_END), file.read(1))[1] != b"\n":
                line = "\n" + line  # another process was cut off in the middle of a line
            file.write(line.encode())
            file.flush()
            os.fsync(file.fileno())

    def _keep(self, part: str, rows: list[Row], source: Provenance) -> None:
        self._parts[part], self._sources[part] = rows, source

    def _read(self) -> None:
        first, *lines = self.path.read_text(encoding="utf-8").split("\n") or [""]
        self._check(first)
        for number, text in enumerate(lines, start=2):
            if not _is_json(text):
                continue  # cut off: its part is done again
            line = parse_line(text, f"{self.path}, line {number}")
            try:
                if "input" in line:
                    self._digests[line["input"]] = line["sha256"]
                else:
                    self._keep(line["part"], list(line["rows"]), Provenance.of(line))
            except (KeyError, TypeError) as error:
                raise ValueError(f"{self.path}, line {number} is no part of a study: {error}.") from error

    def _check(self, first: str) -> None:
        """Refuse a journal whose first line holds other settings."""
        found = parse_line(first, f"{self.path}, line 1").get("settings")
        if found != self._wanted:
            raise FileExistsError(
                f"{self.path.parent} holds a study with other settings. Use the same settings, choose another folder "
                "with --out, or start over with --overwrite."
            )


def _is_json(line: str) -> bool:
    """Whether a line is complete."""
    try:
        parse_json(line)
    except ValueError:
        return False
    return True
