"""Long studies, part by part: what is done is kept, and a study that was stopped goes on after it."""

import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from orbitconv.experiments.record import Row, commit
from orbitconv.files import write_atomically

NAME = "journal.jsonl"


class Journal:
    """A file of finished parts, one JSON line each, after a first line that says which study they belong to.

    Args:
        folder: Folder of the study; it is made if needed.
        settings: What the results depend on, as JSON can hold it.
        overwrite: Forget what is there and begin anew.

    Raises:
        FileExistsError: If the folder holds the parts of a study with other settings, or something else.
        NotADirectoryError: If the folder is a file.
        OSError: If it cannot be written.
    """

    def __init__(self, folder: Path, settings: Mapping[str, Any], *, overwrite: bool = False) -> None:
        if folder.exists() and not folder.is_dir():
            raise NotADirectoryError(f"{folder} is a file; name a folder for the study with --out.")
        self.path = folder / NAME
        self._parts: dict[str, list[Row]] = {}
        self._commits: dict[str, None] = {}
        wanted = json.loads(json.dumps({"settings": settings}, allow_nan=False))
        if self.path.exists() and not overwrite:
            self._read(wanted)
        elif folder.is_dir() and any(folder.iterdir()) and not overwrite:
            raise FileExistsError(
                f"{folder} holds something else already. Choose another folder with --out, or replace it with "
                "--overwrite."
            )
        else:
            write_atomically(self.path, json.dumps(wanted) + "\n")

    def rows(self, part: str, make: Callable[[], list[Row]]) -> list[Row]:
        """The rows of one part, from the file if it is done already.

        Args:
            part: Name of the part, one of a kind in its study.
            make: Does the work.

        Returns:
            The rows.
        """
        if part not in self._parts:
            self._add(part, make())
        return self._parts[part]

    @property
    def source(self) -> str | None:
        """Commit of the code that made the parts; several, with commas, if it changed on the way."""
        return ", ".join(self._commits) or None

    def _add(self, part: str, rows: list[Row]) -> None:
        """Keep a part, whole or not at all: a line without its end is dropped when the file is read."""
        source = commit()
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"part": part, "commit": source, "rows": rows}, allow_nan=False) + "\n")
            file.flush()
            os.fsync(file.fileno())
        self._keep(part, rows, source)

    def _keep(self, part: str, rows: list[Row], source: str | None) -> None:
        self._parts[part] = rows
        if source is not None:
            self._commits[source] = None

    def _read(self, wanted: dict[str, Any]) -> None:
        """Take the finished parts from the file, and drop a line that was cut off."""
        whole = self.path.read_text(encoding="utf-8").rpartition("\n")[0]
        lines = [json.loads(line) for line in whole.splitlines()] or [{}]
        if lines[0] != wanted:
            raise FileExistsError(
                f"{self.path.parent} holds a study with other settings. Go on with those, choose another folder with "
                "--out, or begin anew with --overwrite."
            )
        write_atomically(self.path, whole + "\n")
        for line in lines[1:]:
            self._keep(line["part"], line["rows"], line["commit"])
