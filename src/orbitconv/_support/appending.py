"""Files that grow record by record, and hold whole records only, also where a write fails."""

from pathlib import Path

from orbitconv._support.files import write_atomically


class AppendedFile:
    """A text file that gets records at its end; `kept` is what it begins with, in place of what is there.

    It is made, or changed, with the first record.
    """

    def __init__(self, path: Path, kept: str = "") -> None:
        self._path, self._kept, self._begun = path, kept, False

    def add(self, text: str) -> None:
        """Write records, so that another process that reads the file sees them.

        After a failure the file is as it was before.
        """
        if not self._begun:
            write_atomically(self._path, _encoded(self._kept + text))
            self._begun = True
            return
        content = _encoded(text)
        with self._path.open("ab", buffering=0) as file:
            before = file.tell()
            try:
                while content:
                    content = content[file.write(content) :]
            except BaseException:
                file.truncate(before)
                raise


def whole_lines(path: Path) -> list[str]:
    """The lines of a file that are whole: without the last one if nothing ends it."""
    if not path.exists():
        return []
    text = path.read_text(encoding="utf-8", errors="surrogateescape")
    return [line + "\n" for line in text.split("\n")[:-1]]


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")
