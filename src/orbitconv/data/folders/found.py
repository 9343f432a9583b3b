"""A summary of a folder of pictures."""

from dataclasses import dataclass, field
from pathlib import Path

_SHOWN = 3
_CLASSES = 20


@dataclass(frozen=True, kw_only=True)
class Found:
    """What a folder contains, what was chosen, and what was left out.

    Pictures are counted by split, and by split those of each class, or for segmentation its pixels. `smallest` and
    `largest` are heights and widths of the pictures of fewest and most pixels. Pictures are also counted by channels
    and by type of numbers. `left_out` names files by reason; `notes` is what was chosen for the user, and what is worth
    a look.
    """

    root: Path
    task: str
    classes: tuple[str, ...]
    pictures: dict[str, int]
    counts: dict[str, tuple[int, ...]]
    smallest: tuple[int, int]
    largest: tuple[int, int]
    channels: dict[int, int]
    kinds: dict[str, int]
    left_out: dict[str, list[str]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def __str__(self) -> str:
        splits = ", ".join(f"{split} {n}" for split, n in self.pictures.items())
        lines = [
            f"{self.root}: {self.task}, {sum(self.pictures.values())} pictures ({splits}), {len(self.classes)} classes",
            f"  sizes: {_sizes(self.smallest, self.largest)}; channels: {_counted(self.channels)}; "
            f"numbers: {_counted(self.kinds)}",
        ]
        width = max(map(len, self.classes))
        unit = "pixels" if self.task == "segmentation" else "pictures"
        for i, name in enumerate(self.classes[:_CLASSES]):
            each = ", ".join(f"{split} {counts[i]}" for split, counts in self.counts.items())
            lines.append(f"  {name:{width}}  {each} {unit if i == 0 else ''}".rstrip())
        if len(self.classes) > _CLASSES:
            lines.append(f"  ... and {len(self.classes) - _CLASSES} more classes")
        for reason, names in self.left_out.items():
            more = f", and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
            lines.append(f"  left out: {len(names)} ({reason}): {', '.join(names[:_SHOWN])}{more}")
        text = "\n".join(lines + [f"  {note}" for note in self.notes])
        return text.encode("utf-8", "backslashreplace").decode("utf-8")  # file names may be no UTF-8


def _sizes(smallest: tuple[int, int], largest: tuple[int, int]) -> str:
    """One size, or the range."""
    small, large = ("x".join(map(str, size)) for size in (smallest, largest))
    return small if small == large else f"{small} to {large}"


def _counted(numbers: dict) -> str:  # type: ignore[type-arg]
    """One value, or each with how many pictures have it."""
    if len(numbers) == 1:
        return str(next(iter(numbers)))
    return ", ".join(f"{value} ({n} pictures)" for value, n in sorted(numbers.items(), key=str))
