"""What studies that resume from a journal share: their settings, and how compared networks are named."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from orbitconv.bases.registry import parse_basis_name
from orbitconv.records.command import command_of, settings_of
from orbitconv.records.record import Provenance, Record, Row


@dataclass(frozen=True, kw_only=True)
class StudySettings:
    """Where a study reads and writes."""

    study: ClassVar[str]
    may_change: ClassVar[frozenset[str]] = frozenset({"seeds", "hardware"})
    """Settings that a resumed study may change."""

    out: Path = Path("runs/study")
    """Folder of the study. A stopped study resumes from it; several processes may share the work."""
    overwrite: bool = False
    """Start over in a folder that holds a study with other settings."""
    data_dir: Path | None = None
    """Folder with the data sets; by default ORBITCONV_DATA, then the user's cache, then a download."""
    results: Path | None = None
    """Write the record to this JSON file too."""

    @property
    def name(self) -> str:
        """Name of the study in its record."""
        return self.study.replace("-", "_")

    @property
    def fixed(self) -> dict[str, Any]:
        """Settings that a resumed study must share."""
        return {name: value for name, value in settings_of(self).items() if name not in self.may_change}


def gathered(config: StudySettings, rows: Iterable[Row], source: Provenance, **more: Any) -> Record:
    """The record of a study from all its rows; `more` are settings that are no options."""
    command = command_of(f"python -m studies {config.study}", config, config.name)
    record = Record(study=config.name, command=command, config={**settings_of(config), **more}, source=source)
    for row in rows:
        record.add(**row)
    return record


class Compared:
    """A network that is compared, on a basis or plain."""

    basis: str | None

    @property
    def family(self) -> str:
        """Family of its basis."""
        return "plain" if self.basis is None else parse_basis_name(self.basis).family

    @property
    def group(self) -> str:
        """Name of its group."""
        return "c1" if self.basis is None else parse_basis_name(self.basis).group.name.lower()
