"""A CSV that lists pictures with labels or masks, and perhaps their splits."""

import csv
from collections import Counter
from pathlib import Path

from orbitconv._support.checks import did_you_mean
from orbitconv.data.errors import DataError, unreadable
from orbitconv.data.folders.layout import SPLIT_NAMES, Entry, Listing, Split, Task, list_folder, natural

_PATH = ("path", "file", "filename", "image", "picture")
_LABEL = ("label", "labels", "class", "category", "target")
_MASK = ("mask",)
_SPLIT = ("split", "set", "subset")
_SHOWN = 5


def list_pictures(path: Path) -> Listing:
    """List a folder or a table of pictures; none is opened."""
    return list_table(path) if path.is_file() else list_folder(path)


def list_table(path: Path) -> Listing:
    """Read a table of pictures, a CSV file in UTF-8; files are named relative to its folder.

    Columns: `path`; `label` or `mask`, or several columns of 0 and 1, each a class; `split` (train, val, test) if there
    are splits. A picture has several labels if one cell lists several, separated by `;`, or if there are several
    columns of 0 and 1.
    """
    header, rows = _rows(path)
    columns = {kind: _column(header, names) for kind, names in
               (("path", _PATH), ("label", _LABEL), ("mask", _MASK), ("split", _SPLIT))}  # fmt: skip
    if columns["path"] is None:
        raise DataError(f"{path} expects a column 'path', got the columns {', '.join(header)}.")
    if not rows:
        raise DataError(f"{path} lists no pictures.")
    many = [name for name in header if name not in columns.values()]
    entries: list[Entry] = []
    task: Task = "classification"
    if columns["mask"] is not None:
        task = "segmentation"
    elif columns["label"] is not None:
        if any(";" in row[columns["label"]] for row in rows):
            task = "multilabel"
    elif len(many) > 1:
        task = "multilabel"
    else:
        raise DataError(f"{path} expects a column 'label' or 'mask', or several of 0 and 1, got {', '.join(header)}.")
    for number, row in enumerate(rows, start=2):
        labels: tuple[str, ...] = ()
        if columns["label"] is not None and task != "segmentation":
            cell = row[columns["label"]]
            labels = tuple(dict.fromkeys(one.strip() for one in cell.split(";") if one.strip()))
            if task == "classification" and not labels:
                raise DataError(f"{path}, line {number}: expected a label, got an empty cell.")
        elif task == "multilabel":
            labels = _marked(row, many, path, number)
        mask = None
        if columns["mask"] is not None:
            if not row[columns["mask"]]:
                raise DataError(f"{path}, line {number}: expected a mask, got an empty cell.")
            mask = path.parent / row[columns["mask"]]
        split = _split(row[columns["split"]], path, number) if columns["split"] is not None else None
        entries.append(Entry(path=path.parent / row[columns["path"]], labels=labels, mask=mask, split=split))
    _check_files(path, entries)
    _check_splits(path, entries)
    found = {label for entry in entries for label in entry.labels}
    classes = tuple(many) if task == "multilabel" and columns["label"] is None else tuple(sorted(found, key=natural))
    left_out = {"columns of the table": many} if many and classes != tuple(many) else {}
    return Listing(root=path.parent, task=task, entries=tuple(entries), classes=classes, left_out=left_out)


def _rows(path: Path) -> tuple[list[str], list[dict[str, str]]]:
    """Header and rows, cells stripped of blanks."""
    try:
        with path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
            reader = csv.reader(file, strict=True)
            header = [name.strip() for name in next(reader, [])]
            rows = []
            for cells in reader:
                if not any(cell.strip() for cell in cells):
                    continue
                if len(cells) != len(header):
                    raise DataError(
                        f"{path}, line {reader.line_num}: expected {len(header)} cells as in the header, got "
                        f"{len(cells)}."
                    )
                rows.append(dict(zip(header, (cell.strip() for cell in cells), strict=True)))
    except OSError as error:
        raise unreadable(path, error) from error
    except csv.Error as error:
        raise DataError(f"{path} is no CSV ({error}). Repair it.") from error
    if len(set(header)) < len(header):
        raise DataError(f"{path} expects columns of different names, got {', '.join(header)}.")
    return header, rows


def _column(header: list[str], names: tuple[str, ...]) -> str | None:
    """The column of one of several names, whatever its case."""
    return next((one for name in names for one in header if one.lower() == name), None)


def _marked(row: dict[str, str], columns: list[str], path: Path, number: int) -> tuple[str, ...]:
    """The columns that hold 1."""
    for name in columns:
        if row[name] not in {"0", "1"}:
            raise DataError(f"{path}, line {number}: expected 0 or 1 in column {name!r}, got {row[name]!r}.")
    return tuple(name for name in columns if row[name] == "1")


def _split(cell: str, path: Path, number: int) -> Split | None:
    """The split that a cell names; None for an empty one."""
    if not cell:
        return None
    if cell.lower() not in SPLIT_NAMES:
        hint = did_you_mean(cell, SPLIT_NAMES)
        raise DataError(f"{path}, line {number}: expected the split train, val or test, got {cell!r}.{hint}")
    return SPLIT_NAMES[cell.lower()]


def _check_files(path: Path, entries: list[Entry]) -> None:
    """Refuse files that are not there, and pictures that are listed twice."""
    files = [file for entry in entries for file in (entry.path, entry.mask) if file is not None]
    missing = [file for file in files if not file.exists()]
    if missing:
        names = ", ".join(str(file) for file in missing[:_SHOWN]) + (", ..." if len(missing) > _SHOWN else "")
        raise DataError(f"{path} lists {len(missing)} files that are not there: {names}. Correct it.")
    twice = [file for file, n in Counter(entry.path for entry in entries).items() if n > 1]
    if twice:
        raise DataError(f"{path} lists {len(twice)} pictures more than once, such as {twice[0]}. Correct it.")


def _check_splits(path: Path, entries: list[Entry]) -> None:
    """Refuse tables of which some rows name a split and others do not."""
    without = sum(entry.split is None for entry in entries)
    if 0 < without < len(entries):
        raise DataError(
            f"{path} names a split for {len(entries) - without} of {len(entries)} pictures. Name all or none."
        )
