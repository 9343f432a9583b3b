"""User pictures: a folder or a table of them, as data sets to train, validate and test on."""

import warnings
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np

from orbitconv._support.checks import check_positive, check_share
from orbitconv._support.progress import ProgressCallback, shown_progress
from orbitconv.data.errors import DataError
from orbitconv.data.folders.found import Found
from orbitconv.data.folders.layout import SPLITS, Entry, Listing, Split, Task
from orbitconv.data.folders.mask_classes import MaskClasses, mask_classes
from orbitconv.data.folders.picture_dataset import Item, PictureDataset, decode_all
from orbitconv.data.folders.picture_folder import PictureFolder
from orbitconv.data.folders.splitting import FILE, reused, stratified_split, write_split
from orbitconv.data.folders.survey import Header, same_files, survey
from orbitconv.data.folders.table import list_pictures
from orbitconv.data.formats import Pages
from orbitconv.data.scaling import Rule, Scaling, rule_for

_DEFAULT_SHARE = 0.15
_DECODED = 2 << 30
"""Bytes of files up to which check="auto" reads every pixel before training."""
_MEASURED = 200
"""Pictures that a scaling is measured from."""
_WINDOW, _STEP = 256, 32
_SHOWN = 5


def folder(
    path: Path | str,
    *,
    channels: int | None = None,
    scaling: Scaling | Rule | Literal["auto"] = "auto",
    classes: Sequence[str] | Mapping[str, int] | None = None,
    pages: Pages = None,
    size: int | tuple[int, int] | None = None,
    window: int | None = None,
    objects: bool | None = None,
    ignore_index: int = 255,
    val_share: float | None = None,
    test_share: float | None = None,
    seed: int = 0,
    record: Path | str | None = None,
    max_unreadable: float = 0.01,
    check: Literal["auto", "pixels", "headers"] = "auto",
    cache: Path | str | None = None,
    progress: ProgressCallback | None = None,
) -> PictureFolder:
    """Find pictures and their labels or masks in a folder or a table.

    Known layouts: a folder for each class; `images/` beside `masks/` with files of one stem; either of them below
    `train/`, `val/` and `test/`; a CSV with the columns path and label (several separated by `;`, or several columns
    of 0 and 1), or path and mask, and perhaps split.

    Without splits a stratified one is drawn from the seed. With `record` it is written there as split.csv, and reused.

    Args:
        path: Folder, or CSV file.
        channels: Channels of the images; None takes those of the files, which must then agree.
        scaling: How numbers become floats: a `Scaling`, or the rule of one. `"auto"` takes the range of the type for
            bytes, and percentiles of the training pictures for all others.
        classes: Names of the classes in order; for masks also the number of each name. None finds them.
        pages: What the pages of stacks are: `"pictures"` or `"channels"`.
        size: Height and width that pictures are resized to (their largest middle part of these proportions); not for
            masks.
        window: Side of the windows, at random places, that training pictures are cut to, in pixels. None for whole
            pictures, but for masks of pictures that differ in size: then up to 256.
        objects: Whether masks number objects; None finds out.
        ignore_index: Number in masks that is ignored.
        val_share: Share of the pictures for validation: of all if there are no splits (0.15 by default), of those for
            training if there are splits without validation (none by default).
        test_share: Share of the pictures for testing, if there are no splits (0.15 by default).
        seed: Seed of the split.
        record: Folder for split.csv; None writes nothing.
        max_unreadable: Share of the pictures that may be unreadable; they are left out, and named in `found`. One
            picture may always be.
        check: Whether to read every pixel beforehand, or only headers; `"auto"` reads pixels of up to 2 GiB of files.
        cache: Folder into which all pictures are decoded, once, as large as all their pixels; None reads the files each
            time.
        progress: Called after each file. None shows a bar on the terminal after two seconds;
            `orbitconv.data.silent` shows nothing.

    Returns:
        The data sets.

    Raises:
        DataError: If the layout is not known, a class is empty or the only one, too many pictures are unreadable, their
            channels differ, or masks do not fit.
        ValueError: If arguments contradict each other.
    """
    path = Path(path).expanduser()
    for name, value in (("val_share", val_share), ("test_share", test_share), ("max_unreadable", max_unreadable)):
        if value is not None:
            check_share("folder", **{name: value})
    check_positive("folder", **{name: value for name, value in (("window", window), ("channels", channels)) if value})
    if size is not None and window is not None:
        raise ValueError("folder expects a size or a window, not both.")
    listing = list_pictures(path)
    if size is not None and listing.task == "segmentation":
        raise ValueError("folder does not resize masks. Give a window in place of a size.")
    with shown_progress(progress) as report:
        entries, headers, left_out = _usable(listing, pages, max_unreadable, check, report)
    entries, note = _divided(listing, entries, val_share, test_share, seed, None if record is None else Path(record))
    notes = [note] if note else []

    masks: MaskClasses | None = None
    if listing.task == "segmentation":
        values = {value for header in headers for value in header.values}
        masks = mask_classes(values, classes, objects, ignore_index)
        names = masks.names
        notes += [masks.note] if masks.note else []
    else:
        names = _class_names(listing, entries, classes)
    items = _items(entries, headers, names, multi=listing.task == "multilabel")
    channels = channels or _one_number_of_channels(headers)
    pair = (size, size) if isinstance(size, int) else size
    train_sizes = {(item.height, item.width) for item in items["train"]}
    if window is None and pair is None and len(train_sizes) > 1:
        window, note = _window_for(listing.task, train_sizes)
        notes.append(note)

    common = {"channels": channels, "pages": pages, "size": pair, "ignore_index": ignore_index}
    if masks is not None:
        common |= {"codes": masks.codes, "objects": masks.objects}
    placeholder = Scaling.by_file("", channels)
    data = {split: PictureDataset(part, scaling=placeholder, **common) for split, part in items.items()}
    scale = _scaling(scaling, data["train"], headers, channels)
    notes.append(_scaling_words(scale))
    for split, part in data.items():
        part.scaling = scale
        part.window = window if split == "train" else None
    notes += _twins(items)
    if cache is not None:
        with shown_progress(progress) as report:
            decode_all(list(data.values()), Path(cache), report)
        notes.append(f"decoded pictures: {cache}")
    found = Found(
        root=path, task=listing.task, classes=names, pictures={split: len(part) for split, part in items.items()},
        counts=_counts(entries, headers, names, masks), smallest=min(_sizes(headers), key=np.prod),
        largest=max(_sizes(headers), key=np.prod), channels=dict(Counter(header.channels for header in headers)),
        kinds=dict(Counter(header.kind for header in headers)), left_out=left_out, notes=tuple(notes),
    )  # fmt: skip
    return PictureFolder(
        task=listing.task, classes=names, channels=channels, scaling=scale, train=data["train"], val=data.get("val"),
        test=data.get("test"), found=found, objects=masks is not None and masks.objects, ignore_index=ignore_index,
    )  # fmt: skip


def _usable(
    listing: Listing, pages: Pages, max_unreadable: float, check: str, progress: ProgressCallback
) -> tuple[list[Entry], list[Header], dict[str, list[str]]]:
    """Pictures that can be read, what they hold, and names of what was left out."""
    if check not in {"auto", "pixels", "headers"}:
        raise ValueError(f"folder expects check to be 'auto', 'pixels' or 'headers', got {check!r}.")
    total = sum(entry.path.stat().st_size for entry in listing.entries)
    decode = check == "pixels" or (check == "auto" and total <= _DECODED)
    headers = survey([(one.path, one.mask) for one in listing.entries], pages=pages, decode=decode, progress=progress)
    failed = [
        (entry, header) for entry, header in zip(listing.entries, headers, strict=True) if isinstance(header, DataError)
    ]
    if len(failed) > max(1, max_unreadable * len(headers)) or len(failed) == len(headers):
        reasons = "\n".join(f"  - {error}" for _, error in failed[:_SHOWN])
        more = f"\n  ... and {len(failed) - _SHOWN} more" if len(failed) > _SHOWN else ""
        raise DataError(
            f"folder cannot use {len(failed)} of {len(headers)} pictures in {listing.root}, more than max_unreadable="
            f"{max_unreadable:g} lets pass:\n{reasons}{more}"
        )
    left_out = dict(listing.left_out)
    for entry, error in failed:
        left_out.setdefault(f"unreadable: {error}", []).append(_name(entry.path, listing.root))
    good = [
        (entry, header) for entry, header in zip(listing.entries, headers, strict=True) if isinstance(header, Header)
    ]
    return [entry for entry, _ in good], [header for _, header in good], left_out


def _divided(
    listing: Listing, entries: list[Entry], val_share: float | None, test_share: float | None, seed: int,
    record: Path | None,
) -> tuple[list[Entry], str]:  # fmt: skip
    """Entries of which each has a split, and where it is from."""
    have = {entry.split for entry in entries}
    if None not in have:
        if "train" not in have:
            raise DataError(
                f"folder expects pictures to train on in {listing.root}, got {', '.join(map(str, have))} only."
            )
        if test_share is not None and "test" not in have:
            raise ValueError("folder draws a test split only where there are no splits at all; make a test/ folder.")
        if not val_share or "val" in have:
            return entries, ""
        of, shares = "train", (val_share, 0.0)
    else:
        of = None
        shares = (
            _DEFAULT_SHARE if val_share is None else val_share,
            _DEFAULT_SHARE if test_share is None else test_share,
        )
    chosen = [i for i, entry in enumerate(entries) if entry.split == of]
    names = [_name(entries[i].path, listing.root) for i in chosen]
    split = reused(record, names)
    where = f"split: read from {record / FILE}" if record is not None and split is not None else ""
    if split is None:
        split = stratified_split([entries[i].labels[:1] for i in chosen], shares, seed)
        where = f"split: drawn with seed {seed}, {'by class' if listing.task == 'classification' else 'at random'}"
        if record is not None:
            write_split(record, names, split)
            where += f", written to {record / FILE}"
    divided = list(entries)
    for i, one in zip(chosen, split, strict=True):
        divided[i] = replace(entries[i], split=one)
    return divided, where


def _class_names(
    listing: Listing, entries: list[Entry], classes: Sequence[str] | Mapping[str, int] | None
) -> tuple[str, ...]:
    """Names of the classes of labelled pictures, each of which can be learned."""
    if isinstance(classes, Mapping):
        raise TypeError("folder expects names of classes with numbers for masks only; for labels give a list of names.")
    names = listing.classes if classes is None else tuple(classes)
    unknown = sorted({label for entry in entries for label in entry.labels} - set(names))
    if unknown:
        raise DataError(
            f"folder expects the classes {', '.join(names)}, got pictures of {', '.join(unknown[:_SHOWN])}."
        )
    if len(names) < 2 and listing.task == "classification":
        raise DataError(f"folder expects two classes or more, got {', '.join(names) or 'none'} only in {listing.root}.")
    seen = Counter(label for entry in entries if entry.split == "train" for label in entry.labels)
    empty = [name for name in names if not seen[name]]
    if empty:
        raise DataError(
            "folder expects training pictures of every class, got none that can be read of "
            f"{', '.join(empty[:_SHOWN])}. Add some, or remove the class."
        )
    return names


def _items(
    entries: list[Entry], headers: list[Header], names: tuple[str, ...], *, multi: bool
) -> dict[Split, list[Item]]:
    """The pictures of each split, a page each."""
    number = {name: i for i, name in enumerate(names)}
    parts: dict[Split, list[Item]] = {}
    for split in SPLITS:
        part = []
        for entry, header in zip(entries, headers, strict=True):
            if entry.split != split:
                continue
            label: int | tuple[int, ...] = ()
            if multi:
                label = tuple(int(name in entry.labels) for name in names)
            elif entry.labels:
                label = number[entry.labels[0]]
            part += [
                Item(
                    path=entry.path, page=page, height=header.height, width=header.width, stamp=header.stamp,
                    label=label, mask=entry.mask,
                )
                for page in range(header.pages)
            ]  # fmt: skip
        if part:
            parts[split] = part
    return parts


def _one_number_of_channels(headers: list[Header]) -> int:
    """The number of channels that all pictures have."""
    counts = Counter(header.channels for header in headers)
    if len(counts) > 1:
        found = ", ".join(f"{n} of {c} channel{'s' * (c > 1)}" for c, n in sorted(counts.items()))
        raise DataError(
            f"folder expects pictures of as many channels each, got {found}. Choose: channels=1 or channels=3."
        )
    return next(iter(counts))


def _window_for(task: Task, sizes: set[tuple[int, int]]) -> tuple[int, str]:
    """A window for training pictures that differ in size."""
    if task != "segmentation":
        small, large = min(sizes, key=np.prod), max(sizes, key=np.prod)
        raise DataError(
            f"folder expects pictures of one size, got {small[0]}x{small[1]} to {large[0]}x{large[1]}. Choose "
            "size=(height, width) to resize them, or window=side to train on parts."
        )
    shortest = min(map(min, sizes))
    side = min(_WINDOW, shortest - shortest % _STEP or shortest)
    return side, f"window: training pictures differ in size and are cut to {side}x{side} at random places"


def _scaling(
    scaling: Scaling | Rule | Literal["auto"], train: PictureDataset, headers: list[Header], channels: int
) -> Scaling:
    """The scaling that was asked for, measured from training pictures where it must be."""
    if isinstance(scaling, Scaling):
        if scaling.channels != channels:
            raise ValueError(f"folder expects a scaling of {channels} channels, got one of {scaling.channels}.")
        return scaling
    kinds = Counter(header.kind for header in headers)
    kind = kinds.most_common(1)[0][0]
    rule = rule_for(kind) if scaling == "auto" else scaling
    if rule == "percentiles" and len(kinds) > 1:
        raise DataError(
            f"folder expects numbers of one type for scaling='percentiles', got {', '.join(sorted(kinds))}. Choose "
            "scaling='type' or scaling='file', or convert the pictures."
        )
    if rule == "type":
        return Scaling.by_type(kind, next(header.limits for header in headers if header.kind == kind), channels)
    if rule == "file":
        return Scaling.by_file(kind, channels)
    if rule != "percentiles":
        raise ValueError(f"folder expects scaling 'auto', 'type', 'file', 'percentiles' or a Scaling, got {scaling!r}.")
    chosen = np.random.default_rng(0).permutation(len(train))[:_MEASURED]
    return Scaling.by_percentiles(train.picture(int(i)) for i in sorted(chosen))


def _scaling_words(scaling: Scaling) -> str:
    """A scaling in a line."""
    if scaling.rule == "type":
        return f"scaling: the range of {scaling.kind} becomes 0 to 1"
    if scaling.rule == "file":
        return "scaling: smallest and largest number of each file become 0 and 1"
    ranges = ", ".join(f"{o:g} to {o + 1 / s:g}" for o, s in zip(scaling.offset, scaling.scale, strict=True))
    return f"scaling: {ranges} becomes 0 to 1 ({scaling.rule}, {scaling.kind})"


def _twins(items: dict[Split, list[Item]]) -> list[str]:
    """Warn of pictures that are in training and elsewhere."""
    notes = []
    for split in ("val", "test"):
        if split not in items:
            continue
        train = sorted({item.path for item in items["train"]})
        pairs = same_files(sorted({item.path for item in items[split]}), train)
        if pairs:
            note = (
                f"{len(pairs)} of {len(items[split])} {split} pictures are also in training, byte for byte, such as "
                f"{pairs[0][0]} ({pairs[0][1]})"
            )
            warnings.warn(f"{note}. Remove them: they make the {split} error too small.", stacklevel=3)
            notes.append(note)
    return notes


def _counts(
    entries: list[Entry], headers: list[Header], names: tuple[str, ...], masks: MaskClasses | None
) -> dict[str, tuple[int, ...]]:
    """Pictures of each class in each split; of masks, pixels."""
    counts: dict[str, Counter[int]] = {}
    number = {name: i for i, name in enumerate(names)}
    for entry, header in zip(entries, headers, strict=True):
        counter = counts.setdefault(str(entry.split), Counter())
        for label in entry.labels:
            counter[number[label]] += header.pages
        if masks is not None:
            for value, n in header.values.items():
                counter[int(value > 0) if masks.objects else masks.codes[value]] += n
    return {split: tuple(counts[split][i] for i in range(len(names))) for split in SPLITS if split in counts}


def _sizes(headers: list[Header]) -> list[tuple[int, int]]:
    return [(header.height, header.width) for header in headers]


def _name(path: Path, root: Path) -> str:
    """Name of a file below the root, or in full if it is not."""
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else path.as_posix()
