"""Layouts of picture folders: class folders, images with masks, or a table; with or without train/, val/, test/."""

import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from orbitconv.data.errors import DataError
from orbitconv.data.formats import SUFFIXES, is_picture

Task = Literal["classification", "multilabel", "segmentation"]
Split = Literal["train", "val", "test"]
SPLITS: tuple[Split, ...] = ("train", "val", "test")
SPLIT_NAMES: dict[str, Split] = {
    "train": "train", "training": "train", "val": "val", "valid": "val", "validation": "val", "dev": "val",
    "test": "test", "testing": "test",
}  # fmt: skip
_IMAGES, _MASKS = ("images", "image", "imgs", "img"), ("masks", "mask")
EXPECTED = (
    "class folders (cat/1.png, dog/2.png), images/ beside masks/ (files of one stem), either of them below train/, "
    "val/ and test/, or a CSV with columns path and label or mask"
)


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One picture file with its mask or the names of its classes, and its split if that is said."""

    path: Path
    labels: tuple[str, ...] = ()
    mask: Path | None = None
    split: Split | None = None


@dataclass(frozen=True, kw_only=True)
class Listing:
    """The files of a folder before any is opened; pictures and classes are sorted, names relative to `root`."""

    root: Path
    task: Task
    entries: tuple[Entry, ...]
    classes: tuple[str, ...] = ()
    left_out: dict[str, list[str]] = field(default_factory=dict)


def natural(name: str) -> tuple[int, int, str]:
    """A key that sorts whole numbers by value, before words."""
    return (0, int(name), name) if name.isdecimal() else (1, 0, name)


def list_folder(root: Path) -> Listing:
    """Detect the layout of a folder of pictures; the error says what lies there if it is none of the known ones."""
    if not root.is_dir():
        raise DataError(
            f"folder expects a folder or a CSV file, got {'a file' if root.exists() else 'nothing'}: {root}."
        )
    inside = _folders(root)
    splits: dict[str, Split] = {name: SPLIT_NAMES[name.lower()] for name in inside if name.lower() in SPLIT_NAMES}
    if not splits:
        return _list_part(root, root, None)
    twice = [split for split, n in Counter(splits.values()).items() if n > 1]
    if twice:
        raise DataError(f"folder found two folders for the {twice[0]} split in {root}: {', '.join(sorted(splits))}.")
    parts = [_list_part(root, root / name, split) for name, split in splits.items()]
    tasks = {part.task for part in parts}
    if len(tasks) > 1:
        raise DataError(f"folder expects one layout in all splits, got {' and '.join(sorted(tasks))} in {root}.")
    left_out: dict[str, list[str]] = {}
    for part in parts:
        for reason, names in part.left_out.items():
            left_out.setdefault(reason, []).extend(names)
    beside = [f"{name}/" for name in inside if name not in splits]
    beside += [entry.name for entry in root.iterdir() if entry.is_file()]
    if beside:
        left_out.setdefault("beside the folders of the splits", []).extend(sorted(beside))
    classes = tuple(sorted({name for part in parts for name in part.classes}, key=natural))
    entries = tuple(entry for part in parts for entry in part.entries)
    return replace(parts[0], entries=entries, classes=classes, left_out=left_out)


def files_below(folder: Path) -> Iterator[Path]:
    """All files below a folder, sorted; a Zarr folder counts as one file."""
    for name, folders, files in os.walk(folder):
        zarrs = [one for one in folders if one.lower().endswith(".zarr")]
        folders[:] = sorted(one for one in folders if one not in zarrs and not one.startswith("."))
        yield from (Path(name, one) for one in sorted([*files, *zarrs]))


def pictures_below(folder: Path, root: Path, left_out: dict[str, list[str]]) -> list[Path]:
    """All pictures below a folder, sorted by name."""
    found = []
    for path in files_below(folder):
        if is_picture(path):
            found.append(path)
        else:
            hidden = path.name.startswith(".")
            reason = "hidden files" if hidden else f"no pictures by their name ({path.suffix or 'no suffix'})"
            left_out.setdefault(reason, []).append(path.relative_to(root).as_posix())
    return sorted(found)


def _list_part(root: Path, folder: Path, split: Split | None) -> Listing:
    """One split, or a folder without splits."""
    inside = _folders(folder)
    images = [name for name in inside if name.lower() in _IMAGES]
    masks = [name for name in inside if name.lower() in _MASKS]
    if images and masks:
        return _list_masks(root, folder / images[0], folder / masks[0], split)
    if inside:
        return _list_classes(root, folder, inside, split)
    tables = sorted(folder.glob("*.csv"))
    found = Counter(path.suffix.lower() or "no suffix" for path in folder.iterdir())
    what = ", ".join(f"{n} x {suffix}" for suffix, n in sorted(found.items())) or "nothing"
    hint = f" Name the table itself: {tables[0]}." if tables else ""
    raise DataError(f"folder expects {EXPECTED}; {folder} holds {what}.{hint}")


def _list_classes(root: Path, folder: Path, names: list[str], split: Split | None) -> Listing:
    """A folder for each class."""
    entries, left_out = [], {}
    for name in names:
        below = pictures_below(folder / name, root, left_out)
        if not below:
            raise DataError(
                f"folder expects pictures in every class folder, got none in {folder / name}. Add some, or remove it."
            )
        entries += [Entry(path=path, labels=(name,), split=split) for path in below]
    beside = [path.name for path in folder.iterdir() if not path.is_dir() or path.name.startswith(".")]
    if beside:
        left_out.setdefault("beside the class folders", []).extend(sorted(beside))
    return Listing(
        root=root, task="classification", entries=tuple(entries), classes=tuple(sorted(names, key=natural)),
        left_out=left_out,
    )  # fmt: skip


def _list_masks(root: Path, images: Path, masks: Path, split: Split | None) -> Listing:
    """Pictures and masks of one stem in two folders."""
    left_out: dict[str, list[str]] = {}
    by_stem: dict[str, Path] = {}
    for path in pictures_below(masks, root, left_out):
        stem = _stem(path, masks)
        if stem in by_stem:
            raise DataError(f"folder expects one mask for each picture, got {by_stem[stem]} and {path}.")
        by_stem[stem] = path
    entries, without = [], []
    for path in pictures_below(images, root, left_out):
        mask = by_stem.pop(_stem(path, images), None)
        if mask is None:
            without.append(path.relative_to(root).as_posix())
        else:
            entries.append(Entry(path=path, mask=mask, split=split))
    if not entries:
        raise DataError(
            f"folder expects files of one stem in {images} and {masks} (a.jpg, a.png), got {len(without)} pictures and "
            f"{len(by_stem)} masks without a partner."
        )
    if without:
        left_out["pictures without a mask"] = without
    if by_stem:
        left_out["masks without a picture"] = [path.relative_to(root).as_posix() for path in by_stem.values()]
    return Listing(root=root, task="segmentation", entries=tuple(entries), left_out=left_out)


def _stem(path: Path, folder: Path) -> str:
    """Name below a folder, without suffix; `.ome.tif` is one suffix."""
    stem = path.relative_to(folder).with_suffix("").as_posix()
    return stem.removesuffix(".ome")


def _folders(folder: Path) -> list[str]:
    """Names of the folders in a folder that are neither hidden nor pictures."""
    names = (path.name for path in folder.iterdir() if path.is_dir())
    return sorted(name for name in names if not name.startswith(".") and Path(name).suffix.lower() not in SUFFIXES)
