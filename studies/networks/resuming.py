"""Checks that a resumed study shares its settings with its folder, or with an earlier record."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from orbitconv.records.command import command_of
from orbitconv.records.record import Provenance, Record, Row
from studies.base.results import read_variants
from studies.networks.settings import NetworkStudy
from studies.networks.trials import copies_of

# Settings that may change when a study is resumed: they are part of the name of a trial or of its row, or do not change
# its meaning.
_GROWS = {
    "seeds", "families", "groups", "rotations", "ablations", "copies",
    "hardware", "tensorboard",
}  # fmt: skip


def known_rows(config: NetworkStudy) -> tuple[list[dict[str, Any]], Provenance]:
    """The rows of the known record, whose networks count as finished."""
    if config.known is None:
        return [], Provenance()
    try:
        variants = read_variants(config.known)
    except FileNotFoundError as error:
        raise FileNotFoundError(f"{config.known} does not exist. Name the record of a study with --known.") from error
    wanted = json.loads(json.dumps(fixed_settings(config.settings())))
    for known in variants.values():
        if known.get("study") == config.name and fixed_settings(known["config"]) == wanted:
            return known["rows"], Provenance.of(known)
    raise ValueError(f"{config.known} is the record of another study, or of one with other settings.")


def fixed_settings(settings: Mapping[str, Any]) -> dict[str, Any]:
    """The settings that all networks of a study share."""
    same = {name: value for name, value in settings.items() if name not in _GROWS}
    same["training"] = {name: value for name, value in same["training"].items() if name != "epochs"}
    return same


def record_of(config: NetworkStudy, rows: Sequence[Row], source: Provenance) -> Record:
    """The record of a study; its command reproduces all rows in one call."""
    whole = _as_whole(config, rows)
    command = command_of(f"python -m studies {whole.study}", whole, whole.name)
    return Record(study=whole.name, command=command, config=whole.settings(), source=source)


def _as_whole(config: NetworkStudy, rows: Sequence[Row]) -> NetworkStudy:
    """The settings with the families, groups, rotations, seeds and copies of all rows."""

    def all_of(name: str, column: str) -> tuple[Any, ...]:
        return tuple(dict.fromkeys((*getattr(config, name), *(row[column] for row in rows if row["group"] != "c1"))))

    plain = ("plain",) if any(row["family"] == "plain" for row in rows) else ()
    return replace(
        config,
        families=tuple(dict.fromkeys((*plain, *all_of("families", "family")))),
        groups=all_of("groups", "group"),
        rotations=tuple(dict.fromkeys((*config.rotations, *(row["rotation"] for row in rows)))),
        seeds=max([config.seeds, *(int(row["seed"] or 0) + 1 for row in rows)]),
        copies=tuple(sorted({*config.copies, *(copies_of(str(row["test"])) for row in rows)} - {1})),
    )
