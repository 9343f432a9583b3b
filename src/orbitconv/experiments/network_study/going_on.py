"""What a study that goes on must have in common with what is there: its folder, or the record of an earlier one."""

import json
from collections.abc import Mapping
from typing import Any

from orbitconv.experiments.network_study.settings import NetworkStudy

# Settings that may change while a study goes on: they are part of the name of a trial or of its row, or do not change
# its meaning.
_GROWS = {"seeds", "families", "groups", "rotations", "ablations", "device", "precision", "copies"}
# What stands for settings that folders and records of older versions do not name.
CAME_LATER: dict[str, Any] = {"mixing": "dense", "elastic": 0.0, "atoms": None}


def known_rows(config: NetworkStudy) -> tuple[list[dict[str, Any]], str]:
    """The rows of the record that is known, which are taken as done.

    Args:
        config: Settings.

    Returns:
        The rows, and the commit that they were made at; none if no record is named.

    Raises:
        ValueError: If the record is of another study, or of other settings.
    """
    if config.known is None:
        return [], ""
    try:
        known = json.loads(config.known.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{config.known} is no record of a study: {error}.") from error
    wanted = json.loads(json.dumps(fixed_settings(config.settings())))
    if known.get("study") != config.name or {**CAME_LATER, **fixed_settings(known["config"])} != wanted:
        raise ValueError(f"{config.known} is the record of another study, or of one with other settings.")
    precision = known["config"]["precision"]  # which older rows do not name
    return [{**row, "precision": row.get("precision", precision)} for row in known["rows"]], known["commit"]


def fixed_settings(settings: Mapping[str, Any]) -> dict[str, Any]:
    """The settings that all networks of a study have in common.

    Args:
        settings: All settings of the study.

    Returns:
        Those that may not change while it goes on.
    """
    same = {name: value for name, value in settings.items() if name not in _GROWS}
    same["training"] = {name: value for name, value in same["training"].items() if name != "epochs"}
    return same
