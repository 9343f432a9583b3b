"""Skipped pictures, counted by reason."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import final

_SHOWN = 3


@final
@dataclass
class Skipped:
    """A list of pictures that were left out, and of how many.

    Args:
        total: Number of pictures that were looked at.
        by_reason: Files, by reason.
    """

    total: int = 0
    by_reason: dict[str, list[Path]] = field(default_factory=dict)

    def add(self, path: Path, reason: str) -> None:
        """Record a picture, and why it is left out, without its name."""
        self.by_reason.setdefault(reason, []).append(path)

    def __len__(self) -> int:
        return sum(map(len, self.by_reason.values()))

    def __str__(self) -> str:
        if not len(self):
            return f"all {self.total} pictures were used"
        reasons = []
        for reason, paths in self.by_reason.items():
            names = ", ".join(path.name for path in paths[:_SHOWN]) + (", ..." if len(paths) > _SHOWN else "")
            reasons.append(f"{len(paths)} {reason} ({names})")
        text = f"{len(self)} of {self.total} pictures were left out: {'; '.join(reasons)}"
        return text.encode("utf-8", "backslashreplace").decode("utf-8")  # file names may be no UTF-8
